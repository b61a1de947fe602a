"""ClassLogits: compares class logits anchor by anchor."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_hkd.errors import InvalidValueError
from keras_hkd.hierarchies.alignment import misalignment, shared_classes
from keras_hkd.hierarchies.hierarchy import Hierarchy
from keras_hkd.tensors import Tensor

if TYPE_CHECKING:
    from keras_hkd.hierarchies.step import Step
    from keras_hkd.learner import Learner

__all__ = ["ClassLogits"]

PLACES = ("all", "positives")


@keras.saving.register_keras_serializable(package="keras_hkd")
class ClassLogits(Hierarchy):
    """Compares class logits anchor by anchor.

    If the teacher has other anchors, is of another family or sees images of another size, its
    detections are matched to the student's anchors; see `keras_hkd.hierarchies.match_detections`.
    Anchors without a detection are background then, and with `at="positives"` only positive anchors
    with a detection count.

    Args:
        loss: loss between logits `(batch, anchors, classes)`; called with
            `mask (batch, anchors)`.
        at: `"all"`, every anchor that the assignment does not ignore, or `"positives"`, the anchors
            that are assigned to people. Use `"positives"` for a plain squared error, which
            background would dominate over all anchors, and `"all"` for losses that weight anchors
            themselves.
        name: name of the term.

    Raises:
        ValueError: if `at` is unknown; when attached, if the teacher lacks the student's classes.

    Example:

    >>> from keras_hkd.losses import AdaptiveDistillation
    >>> ClassLogits(AdaptiveDistillation(), at="all").at
    'all'
    """

    default_name = "class_logits"
    samples = ("AdaptiveDistillation",)
    learner_kinds = ("detector",)
    tensors = ("logits",)
    reads = ("class_logits",)
    gives = (*Hierarchy.gives, "labels", "positives")
    rank = 3

    def __init__(self, loss: Any, *, at: str = "all", **kwargs: Any) -> None:
        super().__init__(loss, **kwargs)
        if at not in PLACES:
            raise InvalidValueError(f"`at` must be one of {PLACES}. Received: at={at!r}")
        self.at = at

    def check(self, teacher: Any, student: Learner) -> None:
        shared_classes(teacher, student, type(self).__name__)
        self.check_classes(student)

    def describe_match(self, teacher: Any, student: Learner, same_size: bool = True) -> str:
        return describe_dense_match(teacher, student, same_size)

    def compute(self, step: Step) -> Tensor:
        assignment = step.assignment
        mask = assignment.positive if self.at == "positives" else ~assignment.ignored
        if step.lines_up:
            logits = step.teacher_outputs["class_logits"]
        else:
            matched = step.matched
            logits = matched.logits
            mask = mask & (matched.found if self.at == "positives" else ~matched.ignored)
        student = step.student_outputs["class_logits"]
        return self.compare("all", step, logits, student, mask=ops.cast(mask, "float32"))

    def given(self, step: Step) -> dict[str, Callable[[], Any]]:
        assignment = step.assignment

        def labels() -> Tensor:
            classes = ops.cast(ops.argmax(assignment.target_scores, axis=-1), "int32")
            return ops.where(assignment.positive, classes, -1)

        return {
            **super().given(step),
            "labels": labels,
            "positives": lambda: assignment.positive,
        }

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "at": self.at}


def describe_dense_match(teacher: Any, student: Learner, same_size: bool) -> str:
    """Describe how the dense predictions of a pair are compared."""
    if same_size and misalignment(teacher, student) is None:
        return "direct"
    return "matched through decoded boxes"
