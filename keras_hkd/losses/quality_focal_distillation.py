"""QualityFocalDistillation: quality focal loss with the teacher's scores as labels (QFL)."""

from typing import Any

import keras
from keras import ops

from keras_hkd.checks import in_range
from keras_hkd.losses.arguments import over_positives
from keras_hkd.losses.distillation_loss import DistillationLoss
from keras_hkd.losses.divergences import sigmoid_cross_entropy
from keras_hkd.replicas import expand_to_rank, global_ratio
from keras_hkd.tensors import Tensor

__all__ = ["QualityFocalDistillation"]


@keras.saving.register_keras_serializable(package="keras_hkd")
class QualityFocalDistillation(DistillationLoss):
    """Computes the quality focal loss with the teacher's scores as soft labels.

    Anchors are weighted by the distance of the student's score from the teacher's. With
    q = sigmoid(teacher), p = sigmoid(student),

        loss = sum |p - q|^beta BCE(p, q) / N

    over anchors and classes of the whole batch. N is the number of `positives` if they are given,
    as published, otherwise the sum over anchors of the teacher's best score; at least 1 in both
    cases. The loss is 0, with zero gradient, if the logits are equal; with beta 1 it is not
    differentiable there. It is the class loss of CrossKD, and on the student's own predictions the
    baseline of that paper.

    The call takes `teacher` and `student`, logits (batch, ..., classes) of one shape; `positives`,
    optional, booleans (batch, ...) that select the positive anchors; and `mask`, weights on the
    leading axes, 0 for ignored anchors.

    Args:
        beta: at least 1, focusing exponent: the higher, the less anchors count on which both agree.

    Raises:
        ValueError: if `beta` is below 1, or the shape of `positives` does not fit.

    Example:

    >>> loss = QualityFocalDistillation()
    >>> round(float(loss(ops.array([[50.0]]), ops.array([[0.0]]))), 4)  # 0.5 * log(2) / 1
    0.3466

    Reference:
        Wang et al., "CrossKD: Cross-Head Knowledge Distillation for Object Detection", CVPR 2024,
        https://arxiv.org/abs/2306.11369; Li et al., "Generalized Focal Loss", NeurIPS 2020.
    """

    uses = ("positives",)
    compares = ("logits",)
    masks_channels = True
    min_rank = 2

    def __init__(self, *, beta: float = 1.0) -> None:
        self.beta = in_range("beta", beta, low=1.0)

    def compute(
        self, teacher: Tensor, student: Tensor, mask: Tensor | None, positives: Tensor | None = None
    ) -> Tensor:
        """Compute the sum of the weighted cross entropies, divided by N.

        Args:
            teacher: float32 logits without gradient, (batch, ..., classes).
            student: float32 logits of the same shape.
            mask: float32 weights on leading axes, or `None`.
            positives: booleans (batch, ...), or `None`.

        Returns:
            A float32 scalar.
        """
        scores = ops.sigmoid(teacher)
        distance = ops.abs(ops.sigmoid(student) - scores)
        # Without a power at beta 1, the gradient of |x| at 0 is 0.
        weight = distance if self.beta == 1 else ops.power(distance, self.beta)
        terms = weight * sigmoid_cross_entropy(teacher, student)
        if mask is not None:
            weights = expand_to_rank(mask, student.ndim)
            terms, scores = terms * weights, scores * weights
        if positives is not None:
            return over_positives(ops.sum(terms), positives, tuple(student.shape[:-1]))
        best = ops.max(scores, axis=-1, initial=0.0)
        return global_ratio(ops.sum(terms), ops.sum(best), minimum=1.0)

    def get_config(self) -> dict[str, Any]:
        return {"beta": self.beta}
