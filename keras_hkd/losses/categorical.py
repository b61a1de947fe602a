"""Divergence of softmax probabilities, from logits."""

from keras import ops

from keras_hkd.tensors import Tensor


def divergence(teacher_logits: Tensor, student_logits: Tensor) -> Tensor:
    """Kullback-Leibler divergence of the distributions along the last axis.

    `sum_c q_c log(q_c / p_c)`, q and p the softmax of the teacher's and the student's logits.
    Nothing is clipped: exact for logits far beyond +-50.

    Args:
        teacher_logits: float32 tensor (..., classes).
        student_logits: float32 tensor of the same shape.

    Returns:
        A tensor (...), in nats; 0 where the logits are equal up to a constant.

    Example:

    >>> round(float(divergence(ops.array([2.0, 0.0]), ops.zeros(2))), 4)
    0.3278
    """
    teacher = ops.log_softmax(teacher_logits, axis=-1)
    student = ops.log_softmax(student_logits, axis=-1)
    return ops.sum(ops.exp(teacher) * (teacher - student), axis=-1)
