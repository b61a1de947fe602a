"""DIST: correlation of predictions within rows and within classes."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_hkd.checks import in_range, one_of, positive
from keras_hkd.errors import InvalidValueError
from keras_hkd.losses.distillation_loss import DistillationLoss
from keras_hkd.replicas import (
    expand_to_rank,
    num_replicas,
    sum_over_replicas,
    weighted_mean,
)
from keras_hkd.tensors import Tensor

__all__ = ["DIST"]

EPSILON = 1e-8


@keras.saving.register_keras_serializable(package="keras_hkd")
class DIST(DistillationLoss):
    """Computes the correlation loss between class probabilities (DIST).

    It compares relations between classes and between rows instead of exact probabilities, which a
    small student may not reach. With P, Q the student's and the teacher's probabilities (rows,
    classes) at temperature t, and r Pearson's correlation,
    `r(a, b) = <a', b'> / (|a'| |b'| + 1e-8)` of the centred vectors,

        loss = t^2 [ beta (1 - mean over rows i of r(P_i, Q_i))
                   + gamma (1 - mean over classes c of r(P_:c, Q_:c)) ]

    The loss lies between 0 and 2 t^2 (beta + gamma) and is 0, with zero gradient, if the logits are
    equal. For constant vectors r is 0, without gradient. Rows are everything before the last axis:
    images, or all anchors of the batch. With one class, correlation within a row is undefined:
    with a sigmoid only the second term remains, and softmax over one class is refused.

    The call takes `teacher` and `student`, logits (batch, ..., classes) of one shape, and `mask`,
    weights on their leading axes without the classes. Under `tf.distribute` correlations over rows
    are those of the whole batch.

    Args:
        beta: at least 0, weight of the relation between the classes of one row.
        gamma: at least 0, weight of the relation between the rows of one class.
        temperature: positive number t that divides the logits.
        activation: "softmax", or "sigmoid" for one-stage detectors.

    Raises:
        ValueError: if a number is outside its range, or a softmax is over a single class.

    Example:

    >>> logits = keras.random.normal((5, 4), seed=0)
    >>> bool(DIST()(logits, logits) < 1e-5)
    True

    Reference:
        Huang et al., "Knowledge Distillation from A Stronger Teacher", NeurIPS 2022,
        https://arxiv.org/abs/2205.10536
    """

    compares = ("logits",)
    min_rank = 2

    def __init__(
        self,
        *,
        beta: float = 1.0,
        gamma: float = 1.0,
        temperature: float = 1.0,
        activation: str = "softmax",
    ) -> None:
        self.beta = in_range("beta", beta)
        self.gamma = in_range("gamma", gamma)
        self.temperature = positive("temperature", temperature)
        self.activation = one_of("activation", activation, ("softmax", "sigmoid"))

    def check_channels(self, num_channels: int) -> None:
        if num_channels == 1 and self.activation == "softmax":
            raise InvalidValueError(
                "DIST with softmax over a single class compares constants. Use "
                f'DIST(activation="sigmoid"). Received: {num_channels} class'
            )

    def compute(self, teacher: Tensor, student: Tensor, mask: Tensor | None) -> Tensor:
        """Compute the weighted sum of both relations.

        Args:
            teacher: float32 logits without gradient, (batch, ..., classes).
            student: float32 logits of the same shape.
            mask: float32 weights on leading axes, or `None`.

        Returns:
            A float32 scalar.
        """
        num_classes = student.shape[-1]
        weights = ops.ones_like(student[..., 0])
        if mask is not None:
            weights = weights * expand_to_rank(mask, weights.ndim)
        weights = ops.reshape(weights, (-1,))
        squash = ops.softmax if self.activation == "softmax" else ops.sigmoid
        teacher, student = (
            squash(ops.reshape(logits, (-1, num_classes)) / self.temperature)
            for logits in (teacher, student)
        )
        loss = self.gamma * _between_rows(teacher, student, weights)
        if num_classes > 1:
            loss += self.beta * _between_classes(teacher, student, weights)
        return self.temperature**2 * loss

    def get_config(self) -> dict[str, Any]:
        return {
            "beta": self.beta,
            "gamma": self.gamma,
            "temperature": self.temperature,
            "activation": self.activation,
        }


def _between_classes(teacher: Tensor, student: Tensor, weights: Tensor) -> Tensor:
    # One of the values is subtracted first, so that constant rows become exactly 0.
    pair = [(x, x - ops.stop_gradient(x[..., :1])) for x in (teacher, student)]
    sizes = [ops.sum(ops.square(x), axis=-1) for x, _ in pair]
    teacher, student = (x - ops.mean(x, axis=-1, keepdims=True) for _, x in pair)
    product = ops.sum(teacher * student, axis=-1)
    squares = [ops.sum(ops.square(x), axis=-1) for x in (teacher, student)]
    return weighted_mean(1.0 - _correlation(product, squares, sizes), weights)


def _between_rows(teacher: Tensor, student: Tensor, weights: Tensor) -> Tensor:
    weights = weights[:, None]
    total = sum_over_replicas(ops.sum(weights))

    def sums(*values: Tensor) -> list[Tensor]:
        stacked = ops.stack([ops.sum(weights * value, axis=0) for value in values])
        return ops.unstack(sum_over_replicas(stacked), len(values))

    def highest(x: Tensor) -> Tensor:
        """Return one value of each class, equal on all replicas; of a constant, the constant."""
        x = ops.stop_gradient(ops.where(weights > 0, x, 0.0))
        return sum_over_replicas(ops.max(x, axis=0, initial=0.0)) / num_replicas()

    sizes = sums(ops.square(teacher), ops.square(student))
    teacher, student = teacher - highest(teacher), student - highest(student)
    means = [x / ops.where(total > 0, total, 1.0) for x in sums(teacher, student)]
    teacher, student = teacher - means[0], student - means[1]
    product, *squares = sums(teacher * student, ops.square(teacher), ops.square(student))
    correlation = _correlation(product, squares, sizes)
    return ops.where(total > 0, ops.mean(1.0 - correlation), 0.0)


def _correlation(product: Tensor, squares: Sequence[Tensor], sizes: Sequence[Tensor]) -> Tensor:
    """Compute Pearson's r from sums over centred vectors and squares of the uncentred ones."""
    # Variation of a millionth of the size is rounding. The gradient of a root at 0 is infinite.
    varies = [ops.stop_gradient(x > 1e-12 * size) for x, size in zip(squares, sizes, strict=True)]
    varies = varies[0] & varies[1]
    norms = [ops.sqrt(ops.where(varies, x, 1.0)) for x in squares]
    value = ops.where(varies, product / (norms[0] * norms[1] + EPSILON), 0.0)
    return ops.minimum(value, 1.0)  # rounding
