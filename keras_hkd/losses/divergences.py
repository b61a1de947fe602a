"""Entropies and divergences of class probabilities, computed from logits.

Those of sigmoids are written with softplus, so that neither a probability nor its complement is
rounded to 0 before its logarithm is taken: exact for logits far beyond +-50, without clipping.
"""

from keras import ops

from keras_hkd.tensors import Tensor


def sigmoid_cross_entropy(
    teacher_logits: Tensor,
    student_logits: Tensor,
    positive_weight: float = 1.0,
    negative_weight: float = 1.0,
) -> Tensor:
    """Compute the cross entropy of Bernoulli distributions.

    `-a q log p - b (1 - q) log(1 - p)` with q = sigmoid(teacher), p = sigmoid(student).

    Args:
        teacher_logits: float32 tensor.
        student_logits: float32 tensor of the same shape.
        positive_weight: the factor a.
        negative_weight: the factor b.

    Returns:
        A tensor of the same shape, in nats.

    Example:

    >>> round(float(sigmoid_cross_entropy(ops.zeros(()), ops.zeros(()))), 4)
    0.6931
    """
    positive = ops.sigmoid(teacher_logits) * ops.softplus(-student_logits)
    negative = ops.sigmoid(-teacher_logits) * ops.softplus(student_logits)
    return positive_weight * positive + negative_weight * negative


def sigmoid_entropy(logits: Tensor) -> Tensor:
    """Compute the entropy of Bernoulli distributions, `-q log q - (1 - q) log(1 - q)`.

    Args:
        logits: float32 tensor.

    Returns:
        A tensor of the same shape, in nats, between 0 and log 2.

    Example:

    >>> round(float(sigmoid_entropy(ops.zeros(()))), 4)
    0.6931
    """
    return sigmoid_cross_entropy(logits, logits)


def sigmoid_divergence(teacher_logits: Tensor, student_logits: Tensor) -> Tensor:
    """Compute the Kullback-Leibler divergence of Bernoulli distributions, `KL(q || p)`.

    Args:
        teacher_logits: float32 tensor.
        student_logits: float32 tensor of the same shape.

    Returns:
        A tensor of the same shape, in nats, never negative, and 0 only where p = q.

    Example:

    >>> float(sigmoid_divergence(ops.ones(()), ops.ones(())))
    0.0
    """
    # Differences of softplus rather than of the entropies: exactly 0 where the logits are equal.
    positive = ops.softplus(-student_logits) - ops.softplus(-teacher_logits)
    negative = ops.softplus(student_logits) - ops.softplus(teacher_logits)
    value = ops.sigmoid(teacher_logits) * positive + ops.sigmoid(-teacher_logits) * negative
    # Rounding may make it negative; its gradient is right even there.
    return value + ops.stop_gradient(ops.maximum(value, 0.0) - value)


def softmax_divergence(teacher_logits: Tensor, student_logits: Tensor) -> Tensor:
    """Compute the Kullback-Leibler divergence of the distributions along the last axis.

    `sum_c q_c log(q_c / p_c)`, q and p the softmax of the teacher's and the student's logits.
    Nothing is clipped: exact for logits far beyond +-50.

    Args:
        teacher_logits: float32 tensor (..., classes).
        student_logits: float32 tensor of the same shape.

    Returns:
        A tensor (...), in nats; 0 where the logits are equal up to a constant.

    Example:

    >>> round(float(softmax_divergence(ops.array([2.0, 0.0]), ops.zeros(2))), 4)
    0.3278
    """
    teacher = ops.log_softmax(teacher_logits, axis=-1)
    student = ops.log_softmax(student_logits, axis=-1)
    return ops.sum(ops.exp(teacher) * (teacher - student), axis=-1)
