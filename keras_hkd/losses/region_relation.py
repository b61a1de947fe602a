"""RegionRelation: distances between the regions of an image (the relation term of GID)."""

import keras
from keras import ops

from keras_hkd.errors import InvalidValueError
from keras_hkd.losses.distillation_loss import DistillationLoss
from keras_hkd.replicas import weighted_mean
from keras_hkd.tensors import Tensor

__all__ = ["RegionRelation"]


@keras.saving.register_keras_serializable(package="keras_hkd")
class RegionRelation(DistillationLoss):
    """Computes the difference of the distances between regions (relation term of GID).

    The widths of teacher and student may differ. With `d_ij` the Euclidean distance between the
    features of regions i and j of one image, and `m` the mean of these distances over the image's
    pairs,

        loss = mean over images and pairs i != j of | d_ij^T / m^T - d_ij^S / m^S |

    The loss is invariant to scaling, shifts and rotations of the features, and 0, with zero
    gradient, if they are equal. Images with fewer than two regions, or whose regions are all equal
    to the teacher, do not contribute. Published weight of the term: 40.

    The call takes `teacher` and `student`, tensors (batch, regions, ..., channels), and `mask`,
    weights (batch, regions): entries above 0 are regions. Only the channels may differ.

    Example:

    >>> regions = keras.random.normal((2, 5, 7, 7, 3), seed=0)
    >>> bool(RegionRelation()(regions, 3 * regions + 1) < 1e-5)
    True

    Reference:
        Dai et al., "General Instance Distillation for Object Detection", CVPR 2021,
        https://arxiv.org/abs/2103.02340
    """

    compares = ("features",)
    min_rank = 3
    needs_equal_channels = False

    def compute(self, teacher: Tensor, student: Tensor, mask: Tensor | None) -> Tensor:
        """Compute the mean absolute difference of the normalised distances.

        Args:
            teacher: float32 tensor without gradient, (batch, regions, ..., channels).
            student: float32 tensor, (batch, regions, ..., channels).
            mask: float32 weights (batch, regions) or (batch,), or `None`.

        Returns:
            A float32 scalar.

        Raises:
            ValueError: if the mask has more axes.
        """
        present = ops.ones_like(ops.reshape(student, (*ops.shape(student)[:2], -1))[..., 0])
        if mask is not None:
            if mask.ndim > 2:
                raise InvalidValueError(
                    "RegionRelation compares whole regions: the mask must be (batch, regions). "
                    f"Received: mask of shape {tuple(mask.shape)}."
                )
            mask = mask if mask.ndim == 2 else mask[:, None]
            present = present * ops.cast(mask > 0, "float32")
        pairs = present[:, :, None] * present[:, None, :]
        pairs = pairs * (1.0 - ops.eye(ops.shape(pairs)[1], dtype="float32"))
        teacher, differ = _distances(teacher, present, pairs)
        student, _ = _distances(student, present, pairs)
        return weighted_mean(ops.abs(student - teacher), pairs * ops.cast(differ, "float32"))


def _distances(features: Tensor, present: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the distances of all pairs, over the image's mean: (batch, regions, regions).

    And whether any regions of an image differ, (batch, 1, 1).
    """
    shape = ops.shape(features)
    vectors = ops.reshape(features, (shape[0], shape[1], -1))
    rounding = 1e-12 * ops.sum(ops.square(vectors), axis=-1)
    # Centring does not change distances, and their squares lose fewer digits near the origin.
    share = present / ops.maximum(ops.sum(present, axis=1, keepdims=True), 1.0)
    vectors = (vectors - ops.sum(vectors * share[..., None], axis=1, keepdims=True)) * present[
        ..., None
    ]
    squares = ops.sum(ops.square(vectors), axis=-1)
    products = ops.matmul(vectors, ops.transpose(vectors, (0, 2, 1)))
    rounding = rounding + 1e-6 * squares  # of the mean, and of the difference below
    squares = squares[:, :, None] + squares[:, None, :] - 2.0 * products
    apart = (squares > rounding[:, :, None] + rounding[:, None, :]) & (pairs > 0)
    distances = ops.where(apart, ops.sqrt(ops.where(apart, squares, 1.0)), 0.0)
    count = ops.maximum(ops.sum(pairs, axis=(1, 2), keepdims=True), 1.0)
    mean = ops.sum(distances, axis=(1, 2), keepdims=True) / count
    return distances / ops.where(mean > 0, mean, 1.0), mean > 0
