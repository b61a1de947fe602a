"""AdaptiveDistillation: cross entropy of class logits, weighted towards hard anchors (ADL)."""

from typing import Any

import keras
from keras import ops

from keras_hkd.checks import in_range, one_of, positive
from keras_hkd.losses.distillation_loss import DistillationLoss
from keras_hkd.losses.divergences import sigmoid_cross_entropy, sigmoid_divergence, sigmoid_entropy
from keras_hkd.replicas import expand_to_rank, global_ratio
from keras_hkd.tensors import Tensor

__all__ = ["AdaptiveDistillation"]


@keras.saving.register_keras_serializable(package="keras_hkd")
class AdaptiveDistillation(DistillationLoss):
    """Computes the adaptive distillation loss (ADL) between class logits.

    Each anchor is weighted by how hard it is, so that many easy background anchors do not outweigh
    the few informative ones. Per anchor and class, with q = sigmoid(teacher / t),
    p = sigmoid(student / t), BCE the cross entropy of p under q, H the entropy of q, and
    KL = BCE - H:

        released:  w = (1 - exp(-BCE))^gamma
                   term = w [ -alpha q log p - (1 - alpha) (1 - q) log(1 - p) ]
        paper:     w = (1 - exp(-(KL + beta H)))^gamma
                   term = w KL

        loss = t^2 sum(terms) / N,    N = max(1, sum q^theta)

    Sums run over the whole batch (all replicas), all anchors and classes. N depends on the teacher
    only. Gradients flow through the weight w. With alpha = 0.5 the released form has its minimum,
    which is not 0, at p = q; with another alpha its minimum lies elsewhere. The paper form is 0,
    with zero gradient, exactly at p = q. Values and gradients are finite for logits of +-50 and
    beyond; nothing is clipped.

    The call takes `teacher` and `student`, logits (batch, ..., classes) of one shape, and `mask`,
    weights on their leading axes, for instance (batch, anchors) with 0 for ignored anchors; see
    `DistillationLoss`, also for the errors. Masked anchors do not count in N, so that padding never
    changes the loss (the released code counts its ignored anchors in N).

    Args:
        alpha: in [0, 1], the share of the positive half of the released form's cross entropy.
        gamma: at least 0, focusing exponent: the higher, the less easy anchors count; 0 weights all
            equally.
        theta: positive, exponent of the teacher's scores in N.
        form: "released", as in the authors' code, or "paper".
        beta: at least 0, the share of the teacher's entropy in the paper form's weight.
        temperature: positive number t that divides the logits of both.

    Raises:
        ValueError: if the form is unknown, or a number is outside its range.
        TypeError: if a number is expected and something else is given.

    Example:

    >>> loss = AdaptiveDistillation()
    >>> round(float(loss(ops.array([[0.0]]), ops.array([[0.0]]))), 4)  # 0.25 * log(2) / 2 / 1
    0.0866

    Reference:
        Tang et al., "Learning Efficient Detector with Semi-supervised Adaptive Distillation",
        BMVC 2019, https://arxiv.org/abs/1901.00366
    """

    compares = ("logits",)
    masks_channels = True

    def __init__(
        self,
        *,
        alpha: float = 0.5,
        gamma: float = 2.0,
        theta: float = 1.8,
        form: str = "released",
        beta: float = 1.5,
        temperature: float = 1.0,
    ) -> None:
        self.alpha = in_range("alpha", alpha, high=1.0)
        self.gamma = in_range("gamma", gamma)
        self.theta = positive("theta", theta)
        self.form = one_of("form", form, ("released", "paper"))
        self.beta = in_range("beta", beta)
        self.temperature = positive("temperature", temperature)

    def compute(self, teacher: Tensor, student: Tensor, mask: Tensor | None) -> Tensor:
        """Compute the sum of the weighted terms, divided by N.

        Args:
            teacher: float32 logits without gradient.
            student: float32 logits of the same shape.
            mask: float32 weights on leading axes, or `None`.

        Returns:
            A float32 scalar.
        """
        teacher, student = teacher / self.temperature, student / self.temperature
        terms = (
            self._released(teacher, student)
            if self.form == "released"
            else self._paper(teacher, student)
        )
        confidence = ops.power(ops.sigmoid(teacher), self.theta)
        if mask is not None:
            weights = expand_to_rank(mask, student.ndim)
            terms, confidence = terms * weights, confidence * weights
        loss = global_ratio(ops.sum(terms), ops.sum(confidence), minimum=1.0)
        return self.temperature**2 * loss

    def get_config(self) -> dict[str, Any]:
        return {
            "alpha": self.alpha,
            "gamma": self.gamma,
            "theta": self.theta,
            "form": self.form,
            "beta": self.beta,
            "temperature": self.temperature,
        }

    def _released(self, teacher: Tensor, student: Tensor) -> Tensor:
        weight = self._weight(sigmoid_cross_entropy(teacher, student))
        return weight * sigmoid_cross_entropy(teacher, student, self.alpha, 1.0 - self.alpha)

    def _paper(self, teacher: Tensor, student: Tensor) -> Tensor:
        divergence = sigmoid_divergence(teacher, student)
        return self._weight(divergence + self.beta * sigmoid_entropy(teacher)) * divergence

    def _weight(self, difficulty: Tensor) -> Tensor:
        if self.gamma == 0:
            return 1.0
        # The slope of a root at 0 is infinite; the floor keeps gamma below 1 finite there.
        floor = 1e-12 if self.gamma < 1 else 0.0
        return ops.power(ops.maximum(-ops.expm1(-difficulty), floor), self.gamma)
