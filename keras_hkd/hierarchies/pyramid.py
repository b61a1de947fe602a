"""Pyramid hierarchy: whole feature maps, level by level."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_hkd.errors import InvalidValueError
from keras_hkd.hierarchies.alignment import shared_classes
from keras_hkd.hierarchies.hierarchy import Hierarchy, common_levels
from keras_hkd.losses.channel_moments import standardised
from keras_hkd.tensors import Tensor

if TYPE_CHECKING:
    from keras_hkd.hierarchies.step import Step
    from keras_hkd.learner import Learner

__all__ = ["Pyramid"]

CELLS = ("all", "teacher_scores")


@keras.saving.register_keras_serializable(package="keras_hkd")
class Pyramid(Hierarchy):
    """Compares the pyramid maps of teacher and student.

    `L = 1 / |levels| * sum_l w_l * loss(F_l^T, phi_l(F_l^S))`, phi_l a 1x1 convolution where widths
    differ and the identity where they agree. The first of HKD's three taps. A teacher's map of
    another size, of a teacher that sees larger images, is resized to the student's.

    Args:
        loss: how two maps `(batch, height, width, channels)` are compared; it may need the
            `boxes` of the labelled people, for instance `FocalGlobal` and `FineGrainedImitation`.
        at: `"all"`, all cells alike, or `"teacher_scores"`, each weighed by the best class score
            that the teacher gives it: features are learned where it sees something, and images
            without labels teach as well as others (feature richness, FRS). Made for losses in which
            a cell may count by any weight (`weighs_cells`); other losses are refused.
        standardize: whether the channels of both maps get mean 0 and deviation 1 over the batch
            before they are compared, as `PearsonCorrelation` does itself. Maps of unlike scale then
            need no other weight.
        levels: pyramid levels, such as `("P3", "P4")`; all common ones by default.
        level_weights: w_l, one number for each level; 1 by default. Pedestrians are small, so finer
            levels may deserve more.
        name: of the term.

    Raises:
        ValueError: unknown `at`, or a loss that does not suit it; or, when attached, a pair that
            lacks a level, or a teacher whose scores are read and which lacks the student's classes.

    Example:

    >>> from keras_hkd.losses import FeatureImitation
    >>> Pyramid(FeatureImitation(), levels=("P3", "P4")).levels
    ('P3', 'P4')

    Reference:
        https://arxiv.org/abs/1909.09325 (the pyramid tap); https://arxiv.org/abs/2111.00674
        (feature richness).
    """

    default_name = "pyramid"
    samples = ("FeatureImitation",)
    learner_kinds = ("detector",)
    tensors = ("features",)
    gives = (*Hierarchy.gives, "boxes")
    rank = 4

    def __init__(
        self,
        loss: Any,
        *,
        at: str = "all",
        standardize: bool = False,
        levels: Sequence[str] | None = None,
        level_weights: Sequence[float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(loss, **kwargs)
        if at not in CELLS:
            raise InvalidValueError(f"`at` must be one of {CELLS}. Received: at={at!r}")
        if at != "all" and not getattr(loss, "weighs_cells", True):
            raise InvalidValueError(
                f"{type(loss).__name__} cannot weigh cells by the teacher's scores: its mask says "
                "which cells are there, not how much they count. Use at='all', or a loss that "
                "does, such as FeatureImitation, PearsonCorrelation or ChannelWiseDivergence."
            )
        self.at = at
        self.standardize = bool(standardize)
        self.levels = None if levels is None else tuple(levels)
        self.level_weights = None if level_weights is None else tuple(level_weights)
        if self.level_weights is not None and (
            self.levels is None or len(self.levels) != len(self.level_weights)
        ):
            raise InvalidValueError(
                "`level_weights` needs one number for each of `levels`. Received: "
                f"levels={levels}, level_weights={level_weights}"
            )

    @property
    def reads(self) -> tuple[str, ...] | None:  # type: ignore[override]
        """Maps, and the class logits where cells are weighed by them."""
        return ("pyramid",) if self.at == "all" else ("pyramid", "class_logits")

    def check(self, teacher: Any, student: Learner) -> None:
        common_levels(self.levels, teacher, student, type(self).__name__)
        if self.at == "teacher_scores":
            shared_classes(teacher, student, "Pyramid(at='teacher_scores')")

    def way(self, teacher: Any, student: Learner, same_size: bool = True) -> str:
        return "direct" if same_size else "teacher's maps resized"

    def attach(self, teacher: Any, student: Learner) -> None:
        self.check(teacher, student)
        self.attached_levels = common_levels(self.levels, teacher, student, type(self).__name__)
        for level in self.attached_levels:
            self.add_projection(level, teacher.channels(level), student.channels(level))
        self.built = True

    def compute(self, step: Step) -> Tensor:
        levels = self.attached_levels
        weights = self.level_weights or (1.0,) * len(levels)
        total = 0.0
        for level, weight in zip(levels, weights, strict=True):
            student = self.project(level, step.student_outputs["pyramid"][level])
            teacher = step.teacher_map(step.teacher_outputs["pyramid"][level], student)
            mask = None if self.at == "all" else step.teacher_cell_scores(level, student)
            if self.standardize:  # one by one: not every loss needs equal widths
                maps = (ops.cast(features, "float32") for features in (teacher, student))
                teacher, student = (standardised([features])[0] for features in maps)
            total += weight * self.compare(level, step, teacher, student, mask=mask)
        return total / len(levels)

    def given(self, step: Step) -> dict[str, Callable[[], Any]]:
        return {**super().given(step), "boxes": lambda: step.people}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "at": self.at,
            "standardize": self.standardize,
            "levels": self.levels,
            "level_weights": self.level_weights,
        }
