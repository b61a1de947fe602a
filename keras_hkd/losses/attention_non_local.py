"""AttentionNonLocal: attention-guided features and non-local relations (FBKD)."""

from typing import Any

import keras
from keras import ops

from keras_hkd.checks import in_range, positive, whole
from keras_hkd.losses import positions
from keras_hkd.losses.attention import spatial_attention
from keras_hkd.losses.learnable_loss import LearnableLoss
from keras_hkd.losses.non_local_block import NonLocalBlock
from keras_hkd.replicas import sum_over_replicas
from keras_hkd.tensors import Tensor

__all__ = ["AttentionNonLocal"]


@keras.saving.register_keras_serializable(package="keras_hkd")
class AttentionNonLocal(LearnableLoss):
    """Computes the attention-guided and non-local distillation loss (FBKD).

    With `A(F) = n softmax over positions of mean_c |F| / t` the spatial attention of a map of n
    positions, m = (A(T) + A(S)) / 2 without gradient, R_T and R_S a `NonLocalBlock` of teacher and
    student, phi and psi 1x1 convolutions, V a matrix, K a 3x3 convolution of one channel, and |.|
    the length of a vector that holds the whole batch,

        loss = feature_weight  | sqrt(m) (T - phi(S)) |
             + channel_weight  | mean_ij T - V mean_ij S |
             + spatial_weight  | mean_c T - K mean_c S |
             + relation_weight | R_T(T) - psi(R_S(S)) |

    The terms are lengths, not squares: the gradient does not grow with the distance from the
    teacher, and the terms of features and relations grow with the square root of the batch, of the
    map and of the width. phi, psi and V bridge different widths. All four layers are trained, so
    the loss is not 0 if the student is a copy of the teacher.

    The call takes `teacher` and `student`, maps (batch, h, w, channels) of any widths, and `mask`,
    weights (batch, ...) without the channels; positions of weight 0 are left out.

    Args:
        feature_weight: at least 0, weight of the features under attention.
        channel_weight: at least 0, weight of the means of the channels.
        spatial_weight: at least 0, weight of the means of the positions.
        relation_weight: at least 0, weight of the non-local relations.
        temperature: positive number t of the attention.
        reduction: whole number of at least 1; ratio of a map's width to the width inside its
            `NonLocalBlock`.

    Raises:
        ValueError: if a number is outside its range.

    Example:

    >>> teacher = keras.random.normal((2, 4, 4, 3), seed=0)
    >>> student = keras.random.normal((2, 4, 4, 5), seed=1)
    >>> bool(AttentionNonLocal()(teacher, student) > 0)
    True

    Reference:
        Zhang and Ma, "Improve Object Detection with Feature-based Knowledge Distillation: Towards
        Accurate and Efficient Detectors", ICLR 2021, https://openreview.net/forum?id=uKhGRvM8QNH
    """

    compares = ("features",)
    min_rank = max_rank = 4
    needs_equal_channels = False

    def __init__(
        self,
        *,
        feature_weight: float = 7e-5,
        channel_weight: float = 4e-3,
        spatial_weight: float = 4e-3,
        relation_weight: float = 7e-5,
        temperature: float = 0.5,
        reduction: int = 2,
    ) -> None:
        super().__init__()
        self.feature_weight = in_range("feature_weight", feature_weight)
        self.channel_weight = in_range("channel_weight", channel_weight)
        self.spatial_weight = in_range("spatial_weight", spatial_weight)
        self.relation_weight = in_range("relation_weight", relation_weight)
        self.temperature = positive("temperature", temperature)
        self.reduction = whole("reduction", reduction, low=1)

    def make_layers(
        self, teacher_channels: int, student_channels: int
    ) -> dict[str, keras.layers.Layer]:
        def dense(name: str) -> keras.layers.Layer:
            layer = keras.layers.Dense(teacher_channels, dtype="float32", name=name)
            layer.build((None, student_channels))
            return layer

        def block(name: str, channels: int) -> keras.layers.Layer:
            layer = NonLocalBlock(reduction=self.reduction, dtype="float32", name=name)
            layer.build((None, None, None, channels))
            return layer

        spatial = keras.layers.Conv2D(1, 3, padding="same", dtype="float32", name="spatial")
        spatial.build((None, None, None, 1))
        return {
            "feature": dense("feature"),
            "channel": dense("channel"),
            "spatial": spatial,
            "relation": dense("relation"),
            "teacher_non_local": block("teacher_non_local", teacher_channels),
            "student_non_local": block("student_non_local", student_channels),
        }

    def compute(self, teacher: Tensor, student: Tensor, mask: Tensor | None) -> Tensor:
        """Compute the weighted sum of the four lengths.

        Args:
            teacher: float32 map without gradient, (batch, h, w, channels).
            student: float32 map (batch, h, w, channels).
            mask: float32 weights on leading axes, or `None`.

        Returns:
            A float32 scalar.
        """
        layers = self.layers
        weights = positions.flat_weights(mask, student)
        images = positions.image_weights(weights)
        grid = ops.reshape(weights, (*ops.shape(student)[:3], 1))

        def squares(a: Tensor, b: Tensor) -> Tensor:
            return ops.sum(positions.flatten(ops.square(a - b)), axis=-1)

        flat = [positions.flatten(x) for x in (teacher, student)]
        attention = [spatial_attention(x, weights, self.temperature) for x in flat]
        looked_at = ops.stop_gradient(sum(attention) / 2.0)
        relations = (
            layers["teacher_non_local"](teacher, grid),
            layers["relation"](layers["student_non_local"](student, grid)),
        )
        means = [positions.mean(x, weights) for x in flat]
        channels = ops.square(means[0] - layers["channel"](means[1]))
        spatial = layers["spatial"](ops.mean(student, axis=-1, keepdims=True))
        sums = {
            "feature": squares(teacher, layers["feature"](student)) * looked_at * weights,
            "channel": ops.sum(channels, axis=-1) * images,
            "spatial": squares(ops.mean(teacher, axis=-1, keepdims=True), spatial) * weights,
            "relation": squares(*relations) * weights,
        }
        lengths = _root(sum_over_replicas(ops.stack([ops.sum(x) for x in sums.values()])))
        factors = [getattr(self, f"{name}_weight") for name in sums]
        return ops.sum(lengths * ops.array(factors, "float32"))

    def get_config(self) -> dict[str, Any]:
        return {
            "feature_weight": self.feature_weight,
            "channel_weight": self.channel_weight,
            "spatial_weight": self.spatial_weight,
            "relation_weight": self.relation_weight,
            "temperature": self.temperature,
            "reduction": self.reduction,
        }


def _root(x: Tensor) -> Tensor:
    """Compute the square root with gradient 0 at 0, where it would be infinite."""
    return ops.where(x > 0, ops.sqrt(ops.where(x > 0, x, 1.0)), 0.0)
