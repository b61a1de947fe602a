"""Mutual learning: two students teach each other, in a `keras_hkd.distillation.MutualDistiller`."""

from typing import Any

from keras_hkd.distillation.learners import as_learner
from keras_hkd.distillation.mutual import MutualDistiller
from keras_hkd.errors import InvalidTypeError
from keras_hkd.methods.logit_kd import logit_term
from keras_hkd.methods.registry import method

__all__ = ["mutual"]


@method(teacher="peer")
def mutual(
    peer: Any,
    student: Any,
    *,
    distillation_losses: Any = None,
    weight: Any = 1.0,
    student_loss_weight: float = 1.0,
    **loss_options: Any,
) -> MutualDistiller:
    """Make a Distiller in which a student and its peer learn from labels and from each other.

    `L = sum over both of L_task + lambda [ L_logits(sg(peer) -> student) + L_logits(sg(student) ->
    peer) ]`. The paper uses the Kullback-Leibler divergence of two classifiers; the weighted form
    over the anchors of detectors is a reconstruction.

    Args:
        peer: a detector or classifier, trained along.
        student: the model to train and save, of any size, with the peer's classes.
        distillation_losses: hierarchies; by default the class logits, with adaptive distillation in
            its paper form for detectors, and the Kullback-Leibler divergence for classifiers.
        weight: lambda, a number or a schedule; a list for several hierarchies.
        student_loss_weight: weight of the own losses of both.
        **loss_options: options of the default loss.

    Returns:
        A `MutualDistiller`, to be compiled and fitted.

    Raises:
        TypeError: if an option is unknown.
        ValueError: if the peers cannot be compared, or an option is out of its range.

    Example:

    >>> from keras_hkd.detectors import build
    >>> mutual(build("yolo_v8_micro", seed=1), build("yolo_v8_micro", seed=2)).term_names
    ('class_logits',)

    Reference:
        Zhang et al., Deep Mutual Learning, CVPR 2018, https://arxiv.org/abs/1706.00384.
    """
    student = as_learner(student)
    if distillation_losses is None:
        distillation_losses = logit_term(student, **loss_options)
    elif loss_options:
        raise InvalidTypeError(
            "Options of the default loss cannot be combined with `distillation_losses`: set them "
            f"in your losses. Received: unexpected keyword arguments {sorted(loss_options)}"
        )
    return MutualDistiller(
        [student, peer], distillation_losses, weight, student_loss_weight=student_loss_weight
    )
