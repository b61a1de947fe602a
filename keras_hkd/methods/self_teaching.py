"""Mean teacher: a student under its own moving average, `keras_hkd.distillation.MeanTeacher`."""

from typing import Any

from keras_hkd.distillation.ema_teacher import MeanTeacher
from keras_hkd.distillation.learners import as_learner
from keras_hkd.distillation.schedules import LinearWarmUp
from keras_hkd.errors import InvalidTypeError
from keras_hkd.methods.logit_kd import logit_term
from keras_hkd.methods.registry import method

__all__ = ["mean_teacher"]


@method(teacher=None)
def mean_teacher(
    student: Any,
    *,
    distillation_losses: Any = None,
    weight: Any = None,
    momentum: float = 0.999,
    ramp: bool = True,
    student_loss_weight: float = 1.0,
    **loss_options: Any,
) -> MeanTeacher:
    """Make a Distiller whose teacher is the moving average of the student.

    `L = L_task + lambda(step) L_logits(teacher, student)`, and before every step
    `theta_T <- a theta_T + (1 - a) theta_S`.

    It is a reconstruction for labelled images, without the weak and strong views of unlabelled
    images and the teacher's pseudo boxes for them, which the papers add.

    Args:
        student: a detector or a classifier, trained in place.
        distillation_losses: hierarchies; by default the class logits, with adaptive distillation in
            its paper form for a detector, and the Kullback-Leibler divergence for a classifier.
        weight: lambda, a number or a schedule; a list for several hierarchies. By default it rises
            to 1 over 500 steps, as at first teacher and student are equal.
        momentum: the largest a; see `MeanTeacher`.
        ramp: whether a rises to it as 1 - 1 / (step + 1).
        student_loss_weight: weight of the student's own loss.
        **loss_options: options of the default loss.

    Returns:
        A `MeanTeacher`, to be compiled and fitted.

    Raises:
        TypeError: if an option is unknown.
        ValueError: if an option is out of its range.

    Example:

    >>> from keras_hkd.detectors import build
    >>> mean_teacher(build("yolo_v8_micro"), momentum=0.99).term_names
    ('class_logits',)

    Reference:
        Tarvainen and Valpola, Mean teachers are better role models, NeurIPS 2017,
        https://arxiv.org/abs/1703.01780.
    """
    student = as_learner(student)
    if distillation_losses is None:
        distillation_losses = logit_term(student, **loss_options)
    elif loss_options:
        raise InvalidTypeError(
            "Options of the default loss cannot be combined with `distillation_losses`: set them "
            f"in your losses. Received: unexpected keyword arguments {sorted(loss_options)}"
        )
    if weight is None:
        many = isinstance(distillation_losses, (list, tuple))
        weight = [LinearWarmUp(1.0, steps=500)] * (len(distillation_losses) if many else 1)
    return MeanTeacher(
        student,
        distillation_losses,
        weight,
        student_loss_weight=student_loss_weight,
        momentum=momentum,
        ramp=ramp,
    )
