"""auto: the terms that are known to help such a pair, with weights that set themselves."""

from collections.abc import Sequence
from typing import Any

from keras_hkd.distillation.distiller import Distiller
from keras_hkd.methods.registry import method

__all__ = ["auto"]


@method(several_teachers=True)
def auto(
    teacher: Any,
    student: Any,
    *,
    shares: Sequence[float] | None = None,
    student_loss_weight: float = 1.0,
) -> Distiller:
    """Make a Distiller whose terms are chosen from the pair.

    Equal to `Distiller(teacher, student)`: the first row of
    `keras_hkd/distillation/default_terms.yaml` whose terms the pair allows, each with its share of
    the student's gradient. `distiller.chosen` says which and why.

    Args:
        teacher: a trained detector or classifier, a `TeacherCache`, or a list of several.
        student: the model to train.
        shares: a share of the gradient for each chosen term, in place of the table's.
        student_loss_weight: weight of the student's own loss, against which shares are measured.

    Returns:
        A `Distiller`, to be compiled and fitted.

    Raises:
        ValueError: if no row fits the pair, or there are not as many shares as terms.

    Example:

    >>> from keras_hkd.detectors import build
    >>> distiller = auto(build("yolo_v8_mobilenet_v2_0.35"), build("yolo_v8_micro"))
    >>> distiller.term_names, distiller.shares
    (('boxes', 'pyramid'), (0.3, 0.2))
    """
    return Distiller(teacher, student, shares=shares, student_loss_weight=student_loss_weight)
