"""SoftLabelDivergence: divergence of class probabilities from soft labels."""

from typing import Any

import keras
from keras import ops

from keras_hkd.checks import one_of, positive
from keras_hkd.errors import InvalidValueError
from keras_hkd.losses.distillation_loss import DistillationLoss
from keras_hkd.replicas import weighted_mean
from keras_hkd.tensors import Tensor

__all__ = ["SoftLabelDivergence"]


@keras.saving.register_keras_serializable(package="keras_hkd")
class SoftLabelDivergence(DistillationLoss):
    """Computes the difference between class probabilities and soft labels.

    Other losses take the teacher's logits; this one takes probabilities s, which may be 0 or 1, for
    instance relative frequencies. With p the student's probabilities at temperature t, per row

        kl, softmax:  row = sum_c s_c log(s_c / p_c)
        kl, sigmoid:  row = sum_c [ s_c log(s_c / p_c) + (1 - s_c) log((1 - s_c) / (1 - p_c)) ]
        mse:          row = mean_c (s_c - p_c)^2

    and 0 log 0 = 0. The loss is the mean over rows, with a mask the weighted mean.

    The call takes `teacher`, the soft labels (batch, ..., classes) in [0, 1], `student`, logits of
    the same shape, and `mask`, weights on their leading axes; see `DistillationLoss`.

    Args:
        form: "kl" or "mse".
        activation: "softmax" for soft labels whose rows sum to 1, "sigmoid" for independent ones.
        temperature: positive number that divides the student's logits.

    Raises:
        ValueError: if form or activation is unknown, or the temperature is not positive.

    Example:

    >>> loss = SoftLabelDivergence()
    >>> round(float(loss(ops.array([[1.0, 0.0]]), ops.array([[0.0, 0.0]]))), 4)
    0.6931
    """

    compares = ("probabilities",)
    min_rank = 2

    def __init__(
        self, *, form: str = "kl", activation: str = "softmax", temperature: float = 1.0
    ) -> None:
        self.form = one_of("form", form, ("kl", "mse"))
        self.activation = one_of("activation", activation, ("softmax", "sigmoid"))
        self.temperature = positive("temperature", temperature)

    def check_channels(self, num_channels: int) -> None:
        if num_channels == 1 and self.activation == "softmax":
            raise InvalidValueError(
                "SoftLabelDivergence with softmax over a single class is exactly 0 and teaches "
                'nothing. Use SoftLabelDivergence(activation="sigmoid"). '
                f"Received: {num_channels} class"
            )

    def compute(self, teacher: Tensor, student: Tensor, mask: Tensor | None) -> Tensor:
        """Compute the mean over rows of the difference between soft labels and probabilities.

        Args:
            teacher: float32 probabilities without gradient, (batch, ..., classes).
            student: float32 logits of the same shape.
            mask: float32 weights on leading axes, or `None`.

        Returns:
            A float32 scalar.
        """
        logits, softmax = student / self.temperature, self.activation == "softmax"
        if self.form == "mse":
            probabilities = (ops.softmax if softmax else ops.sigmoid)(logits)
            return weighted_mean(ops.mean(ops.square(teacher - probabilities), axis=-1), mask)
        if softmax:
            rows = _x_log_x(teacher) - teacher * ops.log_softmax(logits, axis=-1)
        else:
            rows = _x_log_x(teacher) + _x_log_x(1.0 - teacher)
            rows += teacher * ops.softplus(-logits) + (1.0 - teacher) * ops.softplus(logits)
        return weighted_mean(ops.sum(rows, axis=-1), mask)

    def get_config(self) -> dict[str, Any]:
        return {
            "form": self.form,
            "activation": self.activation,
            "temperature": self.temperature,
        }


def _x_log_x(x: Tensor) -> Tensor:
    return ops.where(x > 0, x * ops.log(ops.where(x > 0, x, 1.0)), 0.0)
