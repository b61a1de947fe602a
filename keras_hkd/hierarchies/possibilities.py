"""Tests which hierarchies can compare a pair of models."""

from __future__ import annotations

import functools
import importlib
from collections import namedtuple
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from keras_hkd.errors import InvalidTypeError, InvalidValueError
from keras_hkd.registration import modules_by_registered_name

if TYPE_CHECKING:
    from keras_hkd.hierarchies.hierarchy import Hierarchy
    from keras_hkd.learner import Learner

__all__ = ["possible"]

Possibility = namedtuple("Possibility", "works how")
Possibility.__doc__ = """Whether a hierarchy can compare a pair.

Attributes:
    works: bool.
    how: how the pair is compared, or why it cannot be.
"""


class Possibilities(dict):
    """A dict from names of hierarchies to `Possibility`, which prints as a table."""

    def __str__(self) -> str:
        width = max(map(len, self), default=0)
        return "\n".join(
            f"{name:<{width}}  {'yes' if row.works else 'no '}  {row.how}"
            for name, row in self.items()
        )


def possible(
    teacher: Any, student: Learner, *, teacher_image_size: Sequence[int] | None = None
) -> Possibilities:
    """Test each hierarchy on a pair of models.

    Args:
        teacher: a `Detector` or `Classifier`, a `TeacherCache`, or None.
        student: a `Detector` or `Classifier`.
        teacher_image_size: `(height, width)` in pixels at which the teacher sees the images; None
            for the size of the student.

    Returns:
        dict from a hierarchy's name to a `Possibility`; `print` shows it as a table.

    Raises:
        TypeError: if a model is none of these.
        ValueError: if the image size is no pair, or the teacher cannot take it.

    Example:

    >>> from keras_hkd.detectors import build
    >>> table = possible(build("retinanet_micro"), build("yolo_v8_micro"))
    >>> table["ClassLogits"]
    Possibility(works=True, how='matched through decoded boxes')
    >>> table["CrossHead"].works
    False
    """
    if not hasattr(teacher, "kind"):
        teacher = getattr(teacher, "teacher", teacher)  # of a cache, its stand-in for the teacher
    for role, model in (("teacher", teacher), ("student", student)):
        if not (model is None and role == "teacher") and not hasattr(model, "kind"):
            raise InvalidTypeError(
                f"Expected a keras_hkd Detector or Classifier as {role}; wrap a library's model "
                "with keras_hkd.as_detector(model) or keras_hkd.as_classifier(model). "
                f"Received: {type(model).__name__}"
            )
    if not (
        teacher_image_size is None
        or (isinstance(teacher_image_size, (list, tuple)) and len(teacher_image_size) == 2)
    ):
        raise InvalidValueError(
            "`teacher_image_size` must be (height, width) in pixels. "
            f"Received: teacher_image_size={teacher_image_size}"
        )
    if teacher_image_size is not None and hasattr(teacher, "check_image_size"):
        teacher.check_image_size(teacher_image_size)
    same_size = teacher_image_size is None or tuple(teacher_image_size) == tuple(student.image_size)
    rows = Possibilities()
    for name, hierarchy in _samples().items():
        if student.kind not in hierarchy.learner_kinds:
            continue
        reason = why_not(hierarchy, teacher, student, same_size)
        how = hierarchy.describe_match(teacher, student, same_size) if reason is None else reason
        rows[name] = Possibility(reason is None, how)
    return rows


def why_not(
    hierarchy: Hierarchy, teacher: Any, student: Learner, same_size: bool = True
) -> str | None:
    """Explain why a hierarchy cannot compare a pair, or cannot read what a cache holds.

    Args:
        hierarchy: a `Hierarchy`.
        teacher: a `Learner`, what stands for a stored one, or None.
        student: a `Learner`.
        same_size: whether both see the images at the same size.

    Returns:
        A sentence, or None if it can.
    """
    return refusal(hierarchy, teacher, student, same_size) or _not_cached(hierarchy, teacher)


def refusal(
    hierarchy: Hierarchy, teacher: Any, student: Learner, same_size: bool = True
) -> str | None:
    """Explain why a hierarchy cannot compare a pair.

    Args:
        hierarchy: a `Hierarchy`.
        teacher: a `Learner`, or None.
        student: a `Learner`.
        same_size: whether both see the images at the same size.

    Returns:
        A sentence, or None if it can.
    """
    name = type(hierarchy).__name__
    if not getattr(student, "learns", True):
        return f"The student, a {type(student).__name__}, can teach and detect, and not be trained."
    if hierarchy.needs_teacher and teacher is None:
        return f"{name} needs a teacher. Received: teacher=None"
    for role, model in (("teacher", teacher), ("student", student)):
        if model is not None and model.kind not in hierarchy.learner_kinds:
            return (
                f"{name} reads {' and '.join(f'{kind}s' for kind in hierarchy.learner_kinds)} "
                f"only. Received: a {model.kind} as {role}, '{model.name}'."
            )
    try:
        hierarchy.check(teacher, student)
    except ValueError as error:
        return str(error)
    if hierarchy.needs_same_grid and not same_size:
        return f"{name} needs teacher and student to see the images at one size."
    return None


def _not_cached(hierarchy: Hierarchy, teacher: Any) -> str | None:
    """Explain what the cache of a teacher lacks for a hierarchy; None if nothing."""
    cache = getattr(teacher, "cache", None)
    if cache is None or not hierarchy.needs_teacher:
        return None
    try:
        cache.check([hierarchy])
    except ValueError as error:
        return str(error)
    return None


@functools.cache
def _samples() -> dict[str, Hierarchy]:
    """Return an instance of every hierarchy that declares `samples`, those of methods included."""
    from keras_hkd import losses

    found = {}
    for registered, module in modules_by_registered_name().items():
        if not module.startswith(("keras_hkd.hierarchies.", "keras_hkd.methods.")):
            continue
        hierarchy = getattr(importlib.import_module(module), registered.partition(">")[2])
        samples: tuple[str, ...] | None = getattr(hierarchy, "samples", None)
        if samples == ():
            found[hierarchy.__name__] = hierarchy()
        for loss in samples or ():
            name = hierarchy.__name__ if samples == (loss,) else f"{hierarchy.__name__}({loss})"
            found[name] = hierarchy(getattr(losses, loss)())
    return found
