"""LogitDistillation: divergence of softened class probabilities (KD)."""

from typing import Any

import keras
from keras import ops

from keras_hkd.checks import one_of, positive
from keras_hkd.errors import InvalidValueError
from keras_hkd.losses.distillation_loss import DistillationLoss
from keras_hkd.losses.divergences import sigmoid_divergence, softmax_divergence
from keras_hkd.replicas import weighted_mean
from keras_hkd.tensors import Tensor

__all__ = ["LogitDistillation"]


@keras.saving.register_keras_serializable(package="keras_hkd")
class LogitDistillation(DistillationLoss):
    """Computes the divergence between softened class probabilities (knowledge distillation).

    With q and p the teacher's and the student's probabilities at temperature t, per row (an image,
    an anchor or a region: everything before the last axis)

        softmax:  row = t^2 sum_c q_c log(q_c / p_c)
        sigmoid:  row = t^2 sum_c [ q_c log(q_c / p_c) + (1 - q_c) log((1 - q_c) / (1 - p_c)) ]

    and the loss is the mean over rows: over the batch for (batch, classes), over all anchors of the
    batch for (batch, anchors, classes); with a mask the weighted mean over rows. The factor t^2
    keeps the size of the gradient when t changes. The loss is 0, with zero gradient, if the logits
    are equal (for softmax: equal up to a constant per row).

    The call takes `teacher` and `student`, logits (batch, ..., classes) of one shape, and `mask`,
    weights on their leading axes without the classes; see `DistillationLoss`, also for the errors.
    Softmax over a single class is refused with a ValueError: it is 1 for every logit, so the loss
    would always be 0. One-class detectors need `activation="sigmoid"`.

    Args:
        activation: "softmax" for mutually exclusive classes, "sigmoid" for independent ones, as in
            the heads of one-stage detectors.
        temperature: positive number that divides the logits of both.

    Raises:
        ValueError: if the activation is unknown, or the temperature is not positive.

    Example:

    >>> loss = LogitDistillation(temperature=1.0)
    >>> round(float(loss(ops.array([[2.0, 0.0]]), ops.array([[0.0, 0.0]]))), 4)
    0.3278

    Reference:
        Hinton et al., "Distilling the Knowledge in a Neural Network", 2015,
        https://arxiv.org/abs/1503.02531
    """

    compares = ("logits", "bins")
    min_rank = 2

    def __init__(self, *, activation: str = "softmax", temperature: float = 3.0) -> None:
        self.activation = one_of("activation", activation, ("softmax", "sigmoid"))
        self.temperature = positive("temperature", temperature)

    def check_channels(self, num_channels: int) -> None:
        if num_channels == 1 and self.activation == "softmax":
            raise InvalidValueError(
                "LogitDistillation with softmax over a single class is exactly 0 and teaches "
                'nothing. Use LogitDistillation(activation="sigmoid"), or AdaptiveDistillation(). '
                f"Received: {num_channels} class"
            )

    def compute(self, teacher: Tensor, student: Tensor, mask: Tensor | None) -> Tensor:
        """Compute the mean over rows of the divergence between softened probabilities.

        Args:
            teacher: float32 logits without gradient, (batch, ..., classes).
            student: float32 logits of the same shape.
            mask: float32 weights on leading axes, or `None`.

        Returns:
            A float32 scalar.
        """
        divergence = softmax_divergence if self.activation == "softmax" else _sigmoid_divergence
        rows = divergence(teacher / self.temperature, student / self.temperature)
        return self.temperature**2 * weighted_mean(rows, mask)

    def get_config(self) -> dict[str, Any]:
        return {"activation": self.activation, "temperature": self.temperature}


def _sigmoid_divergence(teacher: Tensor, student: Tensor) -> Tensor:
    return ops.sum(sigmoid_divergence(teacher, student), axis=-1)
