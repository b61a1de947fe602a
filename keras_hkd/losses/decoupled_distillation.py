"""DecoupledDistillation: separate weights for the true class and for the others (DKD)."""

from typing import Any

import keras
from keras import ops

from keras_hkd.checks import in_range, positive
from keras_hkd.errors import InvalidValueError
from keras_hkd.losses.arguments import as_labels
from keras_hkd.losses.distillation_loss import DistillationLoss
from keras_hkd.losses.divergences import sigmoid_divergence, softmax_divergence
from keras_hkd.replicas import expand_to_rank, weighted_mean
from keras_hkd.tensors import Tensor

__all__ = ["DecoupledDistillation"]

FAR = -1e9


@keras.saving.register_keras_serializable(package="keras_hkd")
class DecoupledDistillation(DistillationLoss):
    """Computes the decoupled distillation loss (DKD) between class logits.

    The divergence of softmax distributions is split into a term for the true class and a term for
    the other classes, which have separate weights: under a confident teacher the second would
    otherwise count for little. With q the teacher's and p the student's softmax at temperature t,
    and y the true class of a row,

        TCKD = t^2 KL( (q_y, 1 - q_y) || (p_y, 1 - p_y) )
        NCKD = t^2 KL( q without y, renormalised || p without y, renormalised )
        loss = mean over rows of alpha TCKD + beta NCKD

    Plain distillation is `TCKD + (1 - q_y) NCKD`. The loss is 0, with zero gradient, if the logits
    are equal up to a constant for each row. With two classes NCKD is 0. A single class is refused:
    with a sigmoid DKD would reduce to TCKD, which is `LogitDistillation(activation="sigmoid")`.

    The call takes `teacher` and `student`, logits (batch, ..., classes) of one shape, `labels`,
    integers (batch, ...), -1 for rows that have no class and are left out, and `mask`, weights on
    the leading axes without the classes.

    Args:
        temperature: positive number t.
        alpha: at least 0, weight of the true class against the others.
        beta: at least 0, weight of the other classes among themselves. Published: 8 for CIFAR;
            alpha 1, beta 0.25 and temperature 1 for the region heads of detectors.

    Raises:
        ValueError: if a number is outside its range, there is a single class, or the labels do not
            fit.
        TypeError: if there are no `labels`.

    Example:

    >>> loss = DecoupledDistillation(temperature=1.0, beta=0.0)
    >>> value = loss(ops.array([[2.0, 0.0]]), ops.zeros((1, 2)), labels=[0])
    >>> round(float(value), 4)  # with two classes, the divergence itself
    0.3278

    Reference:
        Zhao et al., "Decoupled Knowledge Distillation", CVPR 2022,
        https://arxiv.org/abs/2203.08679
    """

    needs = ("labels",)
    compares = ("logits",)
    min_rank = 2

    def __init__(self, *, temperature: float = 4.0, alpha: float = 1.0, beta: float = 8.0) -> None:
        self.temperature = positive("temperature", temperature)
        self.alpha = in_range("alpha", alpha)
        self.beta = in_range("beta", beta)

    def check_channels(self, num_channels: int) -> None:
        if num_channels < 2:
            raise InvalidValueError(
                f"DecoupledDistillation needs at least two classes. Received: {num_channels}. For "
                'one class use LogitDistillation(activation="sigmoid") or AdaptiveDistillation().'
            )

    def compute(  # type: ignore[override]
        self, teacher: Tensor, student: Tensor, mask: Tensor | None, labels: Tensor
    ) -> Tensor:
        """Compute the mean over the rows that have a class.

        Args:
            teacher: float32 logits without gradient, (batch, ..., classes).
            student: float32 logits of the same shape.
            mask: float32 weights on leading axes, or `None`.
            labels: integers (batch, ...), -1 for none.

        Returns:
            A float32 scalar.

        Raises:
            ValueError: if the labels do not fit.
        """
        num_classes = student.shape[-1]
        labels, known = as_labels(labels, num_classes, tuple(student.shape[:-1]))
        right = ops.one_hot(labels, num_classes, dtype="float32") > 0
        teacher, student = teacher / self.temperature, student / self.temperature
        rows = self.alpha * sigmoid_divergence(_margin(teacher, right), _margin(student, right))
        rows += self.beta * softmax_divergence(
            ops.where(right, FAR, teacher), ops.where(right, FAR, student)
        )
        weights = ops.cast(known, "float32")
        if mask is not None:
            weights = weights * expand_to_rank(mask, weights.ndim)
        return self.temperature**2 * weighted_mean(rows, weights)

    def get_config(self) -> dict[str, Any]:
        return {"temperature": self.temperature, "alpha": self.alpha, "beta": self.beta}


def _margin(logits: Tensor, right: Tensor) -> Tensor:
    """Compute the logit of the true class against all others together."""
    own = ops.sum(ops.where(right, logits, 0.0), axis=-1)
    return own - ops.logsumexp(ops.where(right, FAR, logits), axis=-1)
