"""Pyramid: compares feature maps level by level."""

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

    `L = 1 / |levels| * sum_l w_l * loss(F_l^T, phi_l(F_l^S))`, phi_l a 1x1 convolution if widths
    differ and otherwise the identity. It is the first of HKD's three taps. If the teacher sees
    larger images, its maps are resized to the student's.

    Args:
        loss: loss between two maps `(batch, height, width, channels)`; it may need the `boxes` of
            the labelled people, as `FocalGlobal` and `FineGrainedImitation` do.
        at: `"all"` to weight all cells equally, or `"teacher_scores"` to weight each cell by the
            teacher's best class score there, which needs no labels (feature richness, FRS); only
            for losses that take arbitrary weights of cells (`weighs_cells`).
        standardize: whether the channels of both maps are standardised to mean 0 and deviation 1
            over the batch before they are compared, as `PearsonCorrelation` does itself, so that
            maps of different scale need no other weight.
        levels: pyramid levels, such as `("P3", "P4")`; all common ones by default.
        level_weights: w_l, one number for each level; 1 by default. Finer levels, which hold small
            pedestrians, may deserve more.
        name: name of the term.

    Raises:
        ValueError: if `at` is unknown or does not suit the loss, or weights and levels differ in
            number; when attached, if the pair lacks a level, or the teacher's scores are read and
            it lacks the student's classes.

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
                "does, such as FeatureImitation, PearsonCorrelation or ChannelWiseDivergence. "
                f"Received: at={at!r}"
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
        """The maps, and the class logits if cells are weighted by them."""
        return ("pyramid",) if self.at == "all" else ("pyramid", "class_logits")

    def check(self, teacher: Any, student: Learner) -> None:
        common_levels(self.levels, teacher, student, type(self).__name__)
        if self.at == "teacher_scores":
            shared_classes(teacher, student, "Pyramid(at='teacher_scores')")

    def describe_match(self, teacher: Any, student: Learner, same_size: bool = True) -> str:
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
            if self.standardize:  # separately, as widths may differ
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
