"""Logits: compares the class logits of classifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from keras_hkd.errors import InvalidValueError
from keras_hkd.hierarchies.hierarchy import Hierarchy
from keras_hkd.tensors import Tensor

if TYPE_CHECKING:
    from keras_hkd.hierarchies.step import Step
    from keras_hkd.learner import Learner

__all__ = ["Logits"]


@keras.saving.register_keras_serializable(package="keras_hkd")
class Logits(Hierarchy):
    """Compares the class logits of whole images, with or without a label.

    Args:
        loss: loss between logits `(batch, classes)`, such as
            `keras_hkd.losses.LogitDistillation(temperature=4.0)`.
        name: name of the term.

    Raises:
        ValueError: when attached, if the classes of the classifiers differ, or to detectors.

    Example:

    >>> from keras_hkd.losses import LogitDistillation
    >>> Logits(LogitDistillation()).name
    'logits'

    Reference:
        Hinton et al., https://arxiv.org/abs/1503.02531.
    """

    default_name = "logits"
    samples = ("LogitDistillation",)
    learner_kinds = ("classifier",)
    tensors = ("logits",)
    rank = 2

    def check(self, teacher: Any, student: Learner) -> None:
        if teacher.class_names != student.class_names:
            raise InvalidValueError(
                "Logits needs teacher and student of the same classes in the same order. Received: "
                f"teacher {teacher.class_names}, student {student.class_names}."
            )
        self.check_classes(student)

    def compute(self, step: Step) -> Tensor:
        return self.loss(step.teacher_outputs["logits"], step.student_outputs["logits"])
