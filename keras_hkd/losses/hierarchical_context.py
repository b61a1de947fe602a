"""HierarchicalContext: mean squared difference of maps at several scales (ReviewKD's HCL)."""

import functools
from collections.abc import Sequence
from typing import Any

import keras

from keras_hkd.checks import several, whole
from keras_hkd.errors import InvalidValueError
from keras_hkd.losses.distillation_loss import DistillationLoss
from keras_hkd.losses.pooling import adaptive_mean
from keras_hkd.replicas import weighted_mean_square
from keras_hkd.tensors import Tensor

__all__ = ["HierarchicalContext"]


@keras.saving.register_keras_serializable(package="keras_hkd")
class HierarchicalContext(DistillationLoss):
    """Computes the mean squared difference of maps at several scales (HCL of ReviewKD).

    With MSE the mean squared difference of the maps, and MSE_s that of both maps average-pooled to
    s x s cells, for each size s smaller than the map's height,

        loss = ( MSE + sum_k 2^-k MSE_(s_k) ) / ( 1 + sum_k 2^-k ),    k = 1, 2, ...

    The loss is 0, with zero gradient, at a copy.

    The call takes `teacher` and `student`, maps (batch, h, w, channels) of one shape and of known
    height and width, and `mask`, weights of images (batch,).

    Args:
        sizes: sides in cells of the pooled maps, largest first.

    Raises:
        ValueError: if a size is below 1, or the mask is one of positions.

    Example:

    >>> from keras import ops
    >>> loss = HierarchicalContext()
    >>> float(loss(ops.zeros((1, 4, 4, 2)), ops.ones((1, 4, 4, 2))))
    1.0

    Reference:
        Chen et al., "Distilling Knowledge via Knowledge Review", CVPR 2021,
        https://arxiv.org/abs/2104.09044
    """

    compares = ("features",)
    min_rank = max_rank = 4

    def __init__(self, *, sizes: Sequence[int] = (4, 2, 1)) -> None:
        self.sizes = several("sizes", sizes, functools.partial(whole, low=1))

    def compute(self, teacher: Tensor, student: Tensor, mask: Tensor | None) -> Tensor:
        """Compute the weighted mean over scales of the mean squared differences.

        Args:
            teacher: float32 map without gradient, (batch, h, w, channels).
            student: float32 map of the same shape.
            mask: float32 weights (batch,), or `None`.

        Returns:
            A float32 scalar.

        Raises:
            ValueError: if the mask has more axes, or the size of the map is unknown.
        """
        if mask is not None and mask.ndim > 1:
            raise InvalidValueError(
                "HierarchicalContext pools whole maps, so a mask weighs images (batch,). "
                f"Received: mask of shape {tuple(mask.shape)}."
            )
        height, width = student.shape[1:3]
        if None in (height, width):
            raise InvalidValueError(
                "HierarchicalContext needs maps of known height and width. "
                f"Received: shape {tuple(student.shape)}. Fix the image size of the batches."
            )
        total, weights, weight = weighted_mean_square(student - teacher, mask), 1.0, 1.0
        for size in self.sizes:
            if size >= height:
                continue
            weight /= 2.0
            pooled = adaptive_mean(student - teacher, (size, min(size, width)))
            total += weight * weighted_mean_square(pooled, mask)
            weights += weight
        return total / weights

    def get_config(self) -> dict[str, Any]:
        return {"sizes": self.sizes}
