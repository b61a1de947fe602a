"""AttentionTransfer: mean squared difference of spatial attention maps (AT)."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_hkd.checks import in_range
from keras_hkd.losses import positions
from keras_hkd.losses.distillation_loss import DistillationLoss
from keras_hkd.losses.pooling import adaptive_mean
from keras_hkd.replicas import weighted_mean_square
from keras_hkd.tensors import Tensor

__all__ = ["AttentionTransfer"]


@keras.saving.register_keras_serializable(package="keras_hkd")
class AttentionTransfer(DistillationLoss):
    """Computes the mean squared difference of spatial attention maps.

    Widths may differ, and no layer is trained. With the attention map of an image `A(F) = v / |v|`,
    v the vector over positions of `mean_c |F_c|^power`,

        loss = mean( (A(S) - A(T))^2 )      over images and positions

    The loss is invariant to the scale of the features of an image. The squared attention over n
    positions sums to 1, so the mean is small: the published weight of the term is 1000.

    The call takes `teacher` and `student`, tensors (batch, ..., channels), and `mask`, weights on
    their leading axes without the channels; masked positions are left out. The number of channels
    may differ. Height and width of (batch, height, width, channels) may differ too: the larger side
    is average-pooled to the smaller one, and then only whole images can be masked.

    Args:
        power: exponent of the features, at least 1.

    Raises:
        ValueError: if `power` is below 1, or positions are masked in maps of unequal size.

    Example:

    >>> features = keras.random.normal((2, 4, 4, 3), seed=0)
    >>> bool(AttentionTransfer()(features, 5 * features) < 1e-12)
    True

    Reference:
        Zagoruyko and Komodakis, "Paying More Attention to Attention", ICLR 2017,
        https://arxiv.org/abs/1612.03928
    """

    compares = ("features",)
    min_rank = 3
    needs_equal_channels = False

    def __init__(self, *, power: float = 2.0) -> None:
        self.power = in_range("power", power, low=1.0)

    def may_differ(self, axis: int, last: int) -> bool:
        return axis == last or (last == 3 and axis in (1, 2))

    def compute(self, teacher: Tensor, student: Tensor, mask: Tensor | None) -> Tensor:
        """Compute the mean squared difference of the attention maps.

        Args:
            teacher: float32 tensor without gradient, (batch, ..., channels).
            student: float32 tensor, (batch, ..., channels).
            mask: float32 weights on leading axes, or `None`.

        Returns:
            A float32 scalar.
        """
        if tuple(teacher.shape[1:-1]) != tuple(student.shape[1:-1]) and student.ndim == 4:
            teacher, student = _at_smaller_size(teacher, student)
        weights = positions.flat_weights(mask, student)
        difference = self.attention(student, weights) - self.attention(teacher, weights)
        return weighted_mean_square(difference, weights)

    def get_config(self) -> dict[str, Any]:
        return {"power": self.power}

    def attention(self, features: Tensor, weights: Tensor) -> Tensor:
        """Compute the attention of each position, a vector of length 1 for each image.

        Args:
            features: (batch, ..., channels).
            weights: (batch, positions); positions of weight 0 count for nothing.

        Returns:
            (batch, positions); 0 where nothing of an image is active.
        """
        strength = ops.mean(ops.power(ops.abs(positions.flatten(features)), self.power), axis=-1)
        squares = ops.sum(weights * ops.square(strength), axis=1, keepdims=True)
        varies = squares > 1e-24
        return ops.where(varies, strength / ops.sqrt(ops.where(varies, squares, 1.0)), 0.0)


def _at_smaller_size(*maps: Tensor) -> Sequence[Tensor]:
    if any(None in tuple(features.shape[1:3]) for features in maps):
        return maps
    size = [min(features.shape[axis] for features in maps) for axis in (1, 2)]
    return [adaptive_mean(features, size) for features in maps]
