"""KD: knowledge distillation of class probabilities, the baseline of other methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keras_hkd.distillation.distiller import Distiller
from keras_hkd.distillation.learners import as_learner
from keras_hkd.hierarchies.class_logits import ClassLogits
from keras_hkd.hierarchies.logits import Logits
from keras_hkd.losses.adaptive_distillation import AdaptiveDistillation
from keras_hkd.losses.logit_distillation import LogitDistillation
from keras_hkd.methods.method_options import check_options
from keras_hkd.methods.registry import method

if TYPE_CHECKING:
    from keras_hkd.hierarchies.hierarchy import Hierarchy
    from keras_hkd.learner import Learner

__all__ = ["kd"]


@method(several_teachers=True)
def kd(
    teacher: Any,
    student: Any,
    *,
    weight: Any = 1.0,
    student_loss_weight: float = 1.0,
    **loss_options: Any,
) -> Distiller:
    """Make a Distiller with one term, for the class logits (KD).

    `L = student_loss_weight * L_task + weight * L_logits`, for classifiers
    `L_logits = t^2 KL(softmax(teacher / t) || softmax(student / t))`.

    Args:
        teacher: a trained detector, classifier, or functional model with logits.
        student: a model of the same kind and classes.
        weight: weight of the term, a number or a schedule.
        student_loss_weight: weight of the student's own loss.
        **loss_options: options of `LogitDistillation` for classifiers, such as `temperature`; of
            `AdaptiveDistillation` for detectors.

    Returns:
        A `Distiller`, to be compiled and fitted.

    Raises:
        TypeError: if an option is unknown.
        ValueError: if the kinds or classes of the models differ.

    Example:

    >>> from keras_hkd.classifiers import build
    >>> kd(*(build(n, class_names="ab") for n in ("cnn_small", "cnn_micro"))).term_names
    ('logits',)

    Reference:
        Hinton et al., https://arxiv.org/abs/1503.02531.
    """
    student = as_learner(student)
    return Distiller(
        teacher,
        student,
        logit_term(student, **loss_options),
        weight,
        student_loss_weight=student_loss_weight,
    )


def logit_term(model: Learner, **loss_options: Any) -> Hierarchy:
    """Make the hierarchy that compares class logits: of all anchors, or of whole images.

    Its value is 0 for equal logits, unless `form="released"` is given.

    Args:
        model: a `Detector` or a `Classifier`.
        **loss_options: options of `AdaptiveDistillation` for a detector, with `form="paper"` by
            default; of `LogitDistillation` for a classifier.

    Returns:
        `ClassLogits` or `Logits`.
    """
    part = LogitDistillation if model.kind == "classifier" else AdaptiveDistillation
    check_options("The class logits' term", loss_options, part)
    if model.kind == "classifier":
        return Logits(LogitDistillation(**loss_options))
    return ClassLogits(AdaptiveDistillation(**{"form": "paper", **loss_options}))
