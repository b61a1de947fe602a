"""Chooses the terms of a Distiller that is given none, by the table `default_terms.yaml`."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from keras_hkd import hierarchies as hierarchy_classes
from keras_hkd import losses as loss_classes
from keras_hkd.errors import InvalidValueError
from keras_hkd.hierarchies.possibilities import possible, why_not
from keras_hkd.messages import first_of

if TYPE_CHECKING:
    from keras_hkd.hierarchies.hierarchy import Hierarchy
    from keras_hkd.learner import Learner

TABLE = "default_terms.yaml"


class Chosen(NamedTuple):
    """The terms that a pair gets by default.

    Attributes:
        row: name of the row of the table.
        why: why this row was taken, a sentence.
        hierarchies: the terms, not attached yet.
        shares: share of the gradient of each; None where they have weights instead.
    """

    row: str
    why: str
    hierarchies: list[Hierarchy]
    shares: list[float] | None

    def __str__(self) -> str:
        names = [f"{type(one).__name__}({type(one.loss).__name__})" for one in self.hierarchies]
        if self.shares is None:
            return f"Terms chosen for this pair: {' + '.join(names)}. {self.why}"
        pairs = zip(names, self.shares, strict=True)
        terms = " + ".join(f"{name} {share:g}" for name, share in pairs)
        return f"Terms chosen for this pair, with shares of the gradient: {terms}. {self.why}"


@functools.cache
def table() -> tuple[dict[str, Any], ...]:
    """Return the rows of `default_terms.yaml`, in order of preference."""
    text = resources.files(__package__).joinpath(TABLE).read_text(encoding="utf-8")
    return tuple(yaml.safe_load(text))


def choose(
    teachers: Sequence[Any], student: Learner, sizes: Sequence[Sequence[int] | None]
) -> Chosen:
    """Choose the terms for a student and its teachers.

    Args:
        teachers: `Learner`s, or what stands for stored ones.
        student: a `Learner`.
        sizes: image size of each teacher; None for the student's.

    Returns:
        The first row of the table whose terms are all possible.

    Raises:
        ValueError: without a teacher, or if no row fits; the message lists what the pair allows.

    Example:

    >>> from keras_hkd.detectors import build
    >>> teacher, student = build("yolo_v8_mobilenet_v2_0.35"), build("yolo_v8_micro")
    >>> choose([teacher], student, [None]).row
    'distributions'
    """
    if not teachers:
        raise InvalidValueError(
            "Terms are chosen from a teacher and a student. Without a teacher give "
            "`distillation_losses`, an empty list for the student's own loss alone. "
            "Received: teacher=None"
        )
    coding = getattr(getattr(student, "coding", None), "name", None)  # a classifier has none
    passed_over = None
    for row in table():
        if row.get("student_boxes") not in (None, coding):
            continue
        hierarchies = [_hierarchy(term) for term in row["terms"]]
        reason = _unfit(hierarchies, teachers, student, sizes)
        if reason is None:
            why = f"Why: {row['why']}."
            if passed_over is not None:
                why += f" A better row of the table does not fit: {passed_over}"
            return Chosen(row["name"], why, hierarchies, [term["share"] for term in row["terms"]])
        passed_over = passed_over or reason
    pair = "\n".join(str(possible(teacher, student)) for teacher in teachers)
    known = "; ".join(f"a teacher of {_named(teacher)}" for teacher in teachers)
    raise InvalidValueError(
        "No default terms fit this pair: give `distillation_losses` (on the command line "
        f"--method).\nWhat this pair allows:\n{pair}\nReceived: {known}; a student of "
        f"{_named(student)}"
    )


def _named(model: Any) -> str:
    """Name the kind and the first classes of a model."""
    names = list(getattr(model, "class_names", ()))
    kind = getattr(model, "kind", type(model).__name__)
    return f"{first_of(names, 3)} ({kind})"


def _hierarchy(term: dict[str, Any]) -> Hierarchy:
    loss = getattr(loss_classes, term["loss"])()
    return getattr(hierarchy_classes, term["hierarchy"])(loss, **term.get("options", {}))


def _unfit(
    hierarchies: Sequence[Hierarchy],
    teachers: Sequence[Any],
    student: Learner,
    sizes: Sequence[Sequence[int] | None],
) -> str | None:
    """Return why one of the hierarchies cannot read one of the teachers, or None."""
    for hierarchy in hierarchies:
        for teacher, size in zip(teachers, sizes, strict=True):
            same_size = size is None or tuple(size) == tuple(student.image_size)
            reason = why_not(hierarchy, teacher, student, same_size)
            if reason is not None:
                return reason
    return None
