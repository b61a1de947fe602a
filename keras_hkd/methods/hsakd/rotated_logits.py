"""Branches and RotatedLogits: compare classifiers with branches on rotated images (HSAKD)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras

from keras_hkd.errors import InvalidValueError
from keras_hkd.hierarchies.hierarchy import Hierarchy, common_levels
from keras_hkd.tensors import Tensor

if TYPE_CHECKING:
    from keras_hkd.hierarchies.step import Step

__all__ = ["Branches", "RotatedLogits"]


class _Rotated(Hierarchy):
    """Base class of both terms: checks that both models have branches and the same classes."""

    learner_kinds = ("classifier",)

    def check(self, teacher: Any, student: Any) -> None:
        for role, model in (("teacher", teacher), ("student", student)):
            if getattr(model, "branches", None) is None:
                raise InvalidValueError(
                    f"{type(self).__name__} reads classifiers with auxiliary branches. Received: "
                    f"a plain one as {role}, '{model.name}'. Make it a "
                    "keras_hkd.classifiers.SelfSupervisedClassifier; keras_hkd.methods.hsakd does "
                    "so for the student."
                )
        if teacher.class_names != student.class_names:
            raise InvalidValueError(
                f"{type(self).__name__} needs teacher and student of the same classes in the same "
                f"order. Received: teacher {teacher.class_names}, student {student.class_names}."
            )


@keras.saving.register_keras_serializable(package="keras_hkd")
class Branches(_Rotated):
    """Compares the logits of class and rotation branch by branch, one to one.

    `L_q = sum over stages l of loss(q_l^T, q_l^S)`, over all four rotations of every image; with
    the Kullback-Leibler divergence this is the strongest term of HSAKD.

    Args:
        loss: loss between logits `(4 * batch, 4 * classes)`, such as
            `keras_hkd.losses.LogitDistillation(temperature=3.0)`.
        levels: stages to compare; by default those at which both have a branch.
        name: name of the term.

    Raises:
        ValueError: when attached, if a classifier has no branches, classes differ, or there is no
            common stage.

    Example:

    >>> from keras_hkd.losses import LogitDistillation
    >>> Branches(LogitDistillation()).name
    'branches'

    Reference:
        https://arxiv.org/abs/2107.13715.
    """

    default_name = "branches"
    tensors = ("logits",)

    def __init__(self, loss: Any, *, levels: Sequence[str] | None = None, **kwargs: Any) -> None:
        super().__init__(loss, **kwargs)
        self.levels = None if levels is None else tuple(levels)

    def attach(self, teacher: Any, student: Any) -> None:
        self.check(teacher, student)
        self.attached_levels = common_levels(self.levels, teacher, student, type(self).__name__)
        self.built = True

    def compute(self, step: Step) -> Tensor:
        teacher = step.teacher_outputs["branch_logits"]
        student = step.student_outputs["branch_logits"]
        return sum(
            self.compare(level, step, teacher[level], student[level])
            for level in self.attached_levels
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "levels": self.levels}


@keras.saving.register_keras_serializable(package="keras_hkd")
class RotatedLogits(_Rotated):
    """Compares the class logits of the classifiers over all four rotations of every image.

    `L_p = loss(p^T, p^S)`. Unlike labels, which are for upright images, the teacher's logits exist
    for the rotated images as well.

    Args:
        loss: loss between logits `(4 * batch, classes)`.
        name: name of the term.

    Raises:
        ValueError: see `Branches`.

    Example:

    >>> from keras_hkd.losses import LogitDistillation
    >>> RotatedLogits(LogitDistillation()).name
    'rotated_logits'

    Reference:
        https://arxiv.org/abs/2107.13715.
    """

    default_name = "rotated_logits"
    tensors = ("logits",)

    def compute(self, step: Step) -> Tensor:
        return self.compare(
            "all",
            step,
            step.teacher_outputs["rotated_logits"],
            step.student_outputs["rotated_logits"],
        )
