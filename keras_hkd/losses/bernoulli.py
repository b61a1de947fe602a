"""Entropies of sigmoid probabilities, from logits.

Written with softplus, so that neither a probability nor its complement is ever rounded to 0 before
its logarithm is taken: exact for logits far beyond +-50, with no clipping.
"""

from keras import ops

from keras_hkd.tensors import Tensor


def cross_entropy(
    teacher_logits: Tensor,
    student_logits: Tensor,
    positive_weight: float = 1.0,
    negative_weight: float = 1.0,
) -> Tensor:
    """What it costs to code the teacher's answers with the student's probabilities.

    `-a q log p - b (1 - q) log(1 - p)` with q = sigmoid(teacher), p = sigmoid(student).

    Args:
        teacher_logits: float32 tensor.
        student_logits: float32 tensor of the same shape.
        positive_weight: the factor a.
        negative_weight: the factor b.

    Returns:
        A tensor of that shape, in nats.

    Example:

    >>> round(float(cross_entropy(ops.zeros(()), ops.zeros(()))), 4)
    0.6931
    """
    positive = ops.sigmoid(teacher_logits) * ops.softplus(-student_logits)
    negative = ops.sigmoid(-teacher_logits) * ops.softplus(student_logits)
    return positive_weight * positive + negative_weight * negative


def entropy(logits: Tensor) -> Tensor:
    """How undecided a sigmoid is: `-q log q - (1 - q) log(1 - q)`.

    Args:
        logits: float32 tensor.

    Returns:
        A tensor of that shape, in nats, between 0 and log 2.

    Example:

    >>> round(float(entropy(ops.zeros(()))), 4)
    0.6931
    """
    return cross_entropy(logits, logits)


def divergence(teacher_logits: Tensor, student_logits: Tensor) -> Tensor:
    """Kullback-Leibler divergence of Bernoulli distributions, `KL(q || p)`, 0 only where p = q.

    Args:
        teacher_logits: float32 tensor.
        student_logits: float32 tensor of the same shape.

    Returns:
        A tensor of that shape, in nats, never negative.

    Example:

    >>> float(divergence(ops.ones(()), ops.ones(())))
    0.0
    """
    # Differences of softplus rather than of the entropies: exactly 0 where the logits are equal.
    positive = ops.softplus(-student_logits) - ops.softplus(-teacher_logits)
    negative = ops.softplus(student_logits) - ops.softplus(teacher_logits)
    value = ops.sigmoid(teacher_logits) * positive + ops.sigmoid(-teacher_logits) * negative
    # Rounding may make it negative; its slope is right even there.
    return value + ops.stop_gradient(ops.maximum(value, 0.0) - value)
