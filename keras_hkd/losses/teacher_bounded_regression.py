"""TeacherBoundedRegression: squared error of boxes that are worse than the teacher's."""

from typing import Any

import keras
from keras import ops

from keras_hkd.checks import in_range
from keras_hkd.losses.arguments import as_constant
from keras_hkd.losses.distillation_loss import DistillationLoss
from keras_hkd.replicas import weighted_mean
from keras_hkd.tensors import Tensor

__all__ = ["TeacherBoundedRegression"]


@keras.saving.register_keras_serializable(package="keras_hkd")
class TeacherBoundedRegression(DistillationLoss):
    """Computes the squared error of box outputs whose error exceeds the teacher's.

    The teacher's box is a bound rather than a target. With y the labelled box, per box
    `e_S = |S - y|^2`, `e_T = |T - y|^2` and

        loss = mean over boxes of ( e_S if e_S + margin > e_T else 0 )

    It is added to the student's own box loss. It is 0, with zero gradient, if the student is better
    than the teacher by the margin, and at a copy with margin 0.

    The call takes `teacher` and `student`, box outputs (batch, ..., 4) of one shape; `targets` of
    the same shape, the outputs for the labelled boxes; and `mask`, weights on the leading axes
    without the coordinates, 0 where there is no target.

    Args:
        margin: at least 0, in the square of the outputs' unit.

    Raises:
        ValueError: if the margin is negative, or the shape of the targets differs.
        TypeError: if there are no `targets`.

    Example:

    >>> loss, target = TeacherBoundedRegression(), ops.zeros((1, 1, 4))
    >>> float(loss(target + 1, target + 2, targets=target))  # the teacher is better
    16.0
    >>> float(loss(target + 2, target + 1, targets=target))
    0.0

    Reference:
        Chen et al., "Learning Efficient Object Detection Models with Knowledge Distillation",
        NeurIPS 2017.
    """

    needs = ("targets",)
    min_rank = 2

    def __init__(self, *, margin: float = 0.0) -> None:
        self.margin = in_range("margin", margin)

    def compute(  # type: ignore[override]
        self, teacher: Tensor, student: Tensor, mask: Tensor | None, targets: Tensor
    ) -> Tensor:
        """Compute the mean of the squared errors that exceed the teacher's.

        Args:
            teacher: float32 tensor without gradient, (batch, ..., 4).
            student: float32 tensor of the same shape.
            mask: float32 weights on leading axes, or `None`.
            targets: tensor of the same shape.

        Returns:
            A float32 scalar.
        """
        targets = as_constant("targets", targets, tuple(student.shape))
        own = ops.sum(ops.square(student - targets), axis=-1)
        bound = ops.sum(ops.square(teacher - targets), axis=-1)
        return weighted_mean(ops.where(own + self.margin > bound, own, 0.0), mask)

    def get_config(self) -> dict[str, Any]:
        return {"margin": self.margin}
