"""Review: compares fused maps of several levels (ReviewKD)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_hkd import checks
from keras_hkd.hierarchies.hierarchy import Hierarchy, common_levels
from keras_hkd.losses.hierarchical_context import HierarchicalContext
from keras_hkd.tensors import Shape, Tensor

if TYPE_CHECKING:
    from keras_hkd.hierarchies.step import Step
    from keras_hkd.learner import Learner

__all__ = ["Review"]


@keras.saving.register_keras_serializable(package="keras_hkd")
class Review(Hierarchy):
    """Compares the teacher's maps with the student's maps fused from coarse to fine (ReviewKD).

    From the coarsest level to the finest, a `ReviewFusion` combines the student's map with the
    result of the coarser level and gives a map of the teacher's width;

    `L = sum_l loss(F_l^T, fused_l)`, the sum over levels as published, weight of the term 1.

    The loss is not 0 at a copy, as the fusions have to be trained. They are trained and
    checkpointed by the Distiller and not exported.

    Args:
        loss: loss between two maps; `HierarchicalContext()` by default.
        levels: pyramid levels, finest first; all common ones by default.
        mid_channels: width inside the fusions; the teacher's width by default. The published 256 is
            the width of the teacher's pyramid.
        name: name of the term.

    Raises:
        ValueError: when attached, if the pair lacks a level.

    Example:

    >>> Review().loss.sizes
    (4, 2, 1)

    Reference:
        https://arxiv.org/abs/2104.09044.
    """

    default_name = "review"
    samples = ()
    learner_kinds = ("detector",)
    tensors = ("features",)
    reads = ("pyramid",)
    gives = (*Hierarchy.gives, "boxes")

    def __init__(
        self,
        loss: Any = None,
        *,
        levels: Sequence[str] | None = None,
        mid_channels: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(HierarchicalContext() if loss is None else loss, **kwargs)
        if mid_channels is not None:
            checks.whole("mid_channels", mid_channels, low=1)
        self.levels = None if levels is None else tuple(levels)
        self.mid_channels = mid_channels
        self.fusions: dict[str, ReviewFusion] = {}

    def check(self, teacher: Any, student: Learner) -> None:
        common_levels(self.levels, teacher, student, type(self).__name__)

    def describe_match(self, teacher: Any, student: Learner, same_size: bool = True) -> str:
        return "direct" if same_size else "teacher's maps resized"

    def attach(self, teacher: Any, student: Learner) -> None:
        levels = common_levels(self.levels, teacher, student, type(self).__name__)
        self.attached_levels = sorted(levels, key=lambda level: -int(level[1:]))
        mid = self.mid_channels or teacher.channels(self.attached_levels[0])
        for level in self.attached_levels:
            self.fusions[level] = ReviewFusion(
                mid, teacher.channels(level), dtype="float32", name=f"{self.name}_{level.lower()}"
            )
            coarser = None if level == self.attached_levels[0] else (None, None, None, mid)
            self.add_projection(level, teacher.channels(level), teacher.channels(level))
            self.fusions[level].build((None, None, None, student.channels(level)), coarser)
        self.built = True

    def compute(self, step: Step) -> Tensor:
        total, coarser = 0.0, None
        for level in self.attached_levels:
            features = ops.cast(step.student_outputs["pyramid"][level], "float32")
            fused, coarser = self.fusions[level](features, coarser, training=step.training)
            wanted = step.teacher_map(step.teacher_outputs["pyramid"][level], features)
            total += self.compare(level, step, wanted, fused)
        return total

    def given(self, step: Step) -> dict[str, Callable[[], Any]]:
        return {**super().given(step), "boxes": lambda: step.people}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "levels": self.levels, "mid_channels": self.mid_channels}


@keras.saving.register_keras_serializable(package="keras_hkd")
class ReviewFusion(keras.layers.Layer):
    """Fuses the map of a level with the coarser ones by attention (ABF of ReviewKD).

    `x = norm(W1 F)`; if there is a coarser level, `y` is its result, enlarged by nearest neighbour,
    and `x <- a x + b y` with `(a, b) = sigmoid(W2 [x, y])` for each cell. Returns `norm(W3x3 x)`
    and `x`, which goes to the next finer level.

    Args:
        mid_channels: width of x.
        channels: width of the result.
        **kwargs: arguments of `keras.layers.Layer`.

    Example:

    >>> fused, handed_on = ReviewFusion(4, 6)(keras.ops.ones((1, 8, 8, 3)))
    >>> fused.shape[-1], handed_on.shape[-1]
    (6, 4)
    """

    def __init__(self, mid_channels: int, channels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mid_channels = mid_channels
        self.channels = channels

    def build(self, features_shape: Shape, coarser_shape: Shape | None = None) -> None:
        def convolution(
            filters: int, size: int, name: str, use_bias: bool = False
        ) -> keras.layers.Layer:
            return keras.layers.Conv2D(
                filters,
                size,
                padding="same",
                use_bias=use_bias,
                dtype=self.dtype_policy,
                name=name,
            )

        def norm(name: str) -> keras.layers.Layer:
            return keras.layers.BatchNormalization(
                momentum=0.9, epsilon=1e-5, dtype=self.dtype_policy, name=name
            )

        inside = (None, None, None, self.mid_channels)
        self.reduce, self.reduce_norm = convolution(self.mid_channels, 1, "reduce"), norm("norm_1")
        self.expand, self.expand_norm = convolution(self.channels, 3, "expand"), norm("norm_2")
        self.reduce.build(features_shape)
        self.reduce_norm.build(inside)
        self.expand.build(inside)
        self.expand_norm.build((None, None, None, self.channels))
        if coarser_shape is not None:
            self.attention = convolution(2, 1, "attention", use_bias=True)
            self.attention.build((None, None, None, 2 * self.mid_channels))
        self.built = True

    def call(
        self, features: Tensor, coarser: Tensor | None = None, training: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Fuse one level.

        Args:
            features: `(batch, h, w, width of the student)`.
            coarser: second result of the next coarser level, or None.
            training: whether batch statistics are used.

        Returns:
            `(batch, h, w, channels)` and `(batch, h, w, mid_channels)`.
        """
        x = self.reduce_norm(self.reduce(features), training=training)
        if coarser is not None:
            y = _enlarged(coarser, x.shape[1:3])
            share = ops.sigmoid(self.attention(ops.concatenate([x, y], axis=-1)))
            x = x * share[..., :1] + y * share[..., 1:]
        return self.expand_norm(self.expand(x), training=training), x

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "mid_channels": self.mid_channels,
            "channels": self.channels,
        }


def _enlarged(features: Tensor, size: Sequence[int]) -> Tensor:
    """Enlarge a map by nearest neighbour: cell i of n reads cell floor(i m / n) of m."""
    for axis, cells in zip((1, 2), size, strict=True):
        index = [i * features.shape[axis] // cells for i in range(cells)]
        features = ops.take(features, ops.array(index, "int32"), axis=axis)
    return features
