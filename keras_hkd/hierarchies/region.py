"""Region: compares features of regions of interest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from keras_hkd.errors import InvalidValueError
from keras_hkd.hierarchies.best_boxes import best_boxes
from keras_hkd.hierarchies.hierarchy import Hierarchy, common_levels
from keras_hkd.hierarchies.roi_align import mean_squares_of_levels, roi_align
from keras_hkd.hierarchies.shared_view import view_scale
from keras_hkd.replicas import sum_over_replicas
from keras_hkd.tensors import Tensor

if TYPE_CHECKING:
    from keras_hkd.hierarchies.step import Step
    from keras_hkd.learner import Learner

__all__ = ["Region"]


@keras.saving.register_keras_serializable(package="keras_hkd")
class Region(Hierarchy):
    """Compares 7x7 features of regions, read from both networks by RoIAlign.

    `L = 1 / |R| * sum_r loss(RoI(F^T, r), psi(RoI(F^S, r)))` over the labelled people and the
    teacher's best detections. A region is read from the level
    `k = floor(4 + log2(sqrt(area) / canonical_size))`, or the nearest of the common levels. It is
    the second of HKD's three taps; the regions of a one-stage detector take the place of the
    paper's proposals (reconstruction).

    Args:
        loss: loss between two sets of region features `(batch, regions, size, size, channels)`;
            called with `mask (batch, regions)`.
        levels: pyramid levels; by default those of P3 to P5 that both have.
        num_detections: number of the teacher's detections per image that may become regions.
        max_regions: largest number of regions per image: labelled people first, then the best
            detections. It bounds the cost of the term, which padding would otherwise increase.
        score_threshold: detections whose score is not above it do not become regions.
        output_size: number of bins along each side of a region.
        canonical_size: side in pixels of a region read from P4. FPN uses 224 for images of 800 px;
            half of it keeps P3 to P5 in use at 256 to 512 px.
        name: name of the term.

    Raises:
        ValueError: if a number is out of its range; when attached, if the pair lacks a level.

    Example:

    >>> from keras_hkd.losses import FeatureImitation
    >>> Region(FeatureImitation()).output_size
    7

    Reference:
        https://arxiv.org/abs/1909.09325 (the region tap).
    """

    default_name = "region"
    samples = ("FeatureImitation",)
    learner_kinds = ("detector",)
    tensors = ("features",)
    reads = ("pyramid",)
    rank = 5

    def __init__(
        self,
        loss: Any,
        *,
        levels: Sequence[str] | None = None,
        num_detections: int = 16,
        max_regions: int = 16,
        score_threshold: float = 0.05,
        output_size: int = 7,
        canonical_size: float = 112.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(loss, **kwargs)
        if num_detections < 0 or min(max_regions, output_size) < 1 or canonical_size <= 0:
            raise InvalidValueError(
                "Expected num_detections >= 0, max_regions >= 1, output_size >= 1 and "
                f"canonical_size > 0. Received: num_detections={num_detections}, "
                f"max_regions={max_regions}, output_size={output_size}, "
                f"canonical_size={canonical_size}"
            )
        self.levels = None if levels is None else tuple(levels)
        self.num_detections = int(num_detections)
        self.max_regions = int(max_regions)
        self.score_threshold = float(score_threshold)
        self.output_size = int(output_size)
        self.canonical_size = float(canonical_size)

    def _levels(self, teacher: Any, student: Learner) -> list[str]:
        levels = common_levels(self.levels, teacher, student, type(self).__name__)
        if self.levels is None:
            levels = [level for level in levels if level in ("P3", "P4", "P5")] or levels
        return levels

    def check(self, teacher: Any, student: Learner) -> None:
        self._levels(teacher, student)

    def describe_match(self, teacher: Any, student: Learner, same_size: bool = True) -> str:
        return "direct" if same_size else "boxes scaled to the teacher's images"

    def attach(self, teacher: Any, student: Learner) -> None:
        self.attached_levels = self._levels(teacher, student)
        for level in self.attached_levels:
            self.add_projection(level, teacher.channels(level), student.channels(level))
        self.built = True

    def regions_of(self, step: Step) -> tuple[Tensor, Tensor, Tensor]:
        """Choose the regions of a step: labelled people first, then the best detections.

        Args:
            step: a `Step`.

        Returns:
            `boxes (batch, regions, 4)` xyxy pixels, `valid (batch, regions)` bool, and the number
            of the pyramid level of each, `(batch, regions)` int32.
        """
        boxes, valid = step.regions(self.num_detections, self.score_threshold)
        # People come first, then detections by their score.
        order = ops.where(valid, 1.0 / ops.arange(1, ops.shape(valid)[1] + 1, dtype="float32"), 0.0)
        boxes, valid = best_boxes(boxes, order, self.max_regions)
        return boxes, valid, self.level_of(boxes)

    def compute(self, step: Step) -> Tensor:
        boxes, valid, chosen = self.regions_of(step)
        total = ops.maximum(sum_over_replicas(ops.sum(ops.cast(valid, "float32"))), 1.0)
        if self._reads_differences(step):
            return self._of_differences(step, boxes, valid, chosen, total)
        loss = 0.0
        for level in self.attached_levels:
            here = ops.cast(valid & (chosen == int(level[1:])), "float32")
            share = sum_over_replicas(ops.sum(here)) / total
            # psi is linear and bins are weighted means, so both commute; the map has far fewer
            # cells than all regions together.
            student = self.project(level, step.student_outputs["pyramid"][level])
            student = roi_align(student, boxes, step.student.stride(level), self.output_size)
            scale = view_scale(step.image_size, step.teacher_image_size)
            teacher = step.teacher_outputs["pyramid"][level]
            stride = step.teacher.stride(level) / scale
            teacher = roi_align(teacher, boxes, stride, self.output_size)
            loss += share * self.compare(level, step, teacher, student, mask=here)
        return loss

    def _reads_differences(self, step: Step) -> bool:
        """Whether the loss reads `(S - T)^2` alone, and both maps have the same cells."""
        scale = view_scale(step.image_size, step.teacher_image_size)
        outputs = (step.student_outputs["pyramid"], step.teacher_outputs["pyramid"])
        return (
            _compares_squares(self.loss)
            and step.compared is None  # who records what is compared wants both maps
            and not self.level_losses
            and all(
                step.student.stride(level) == step.teacher.stride(level) / scale
                and outputs[0][level].shape[1:3] == outputs[1][level].shape[1:3]
                for level in self.attached_levels
            )
        )

    def _of_differences(
        self, step: Step, boxes: Tensor, valid: Tensor, chosen: Tensor, total: Tensor
    ) -> Tensor:
        """Compute the same loss from the features of regions of `psi(F^S) - F^T`.

        RoIAlign is linear, so it is read once and not from both maps; and once for all levels of
        one width, each region from its own.
        """
        levels_of: dict[int, list[str]] = {}
        for level in self.attached_levels:
            levels_of.setdefault(step.teacher.channels(level), []).append(level)
        loss = 0.0
        for levels in levels_of.values():
            maps = [self._difference(step, level) for level in levels]
            here = [ops.cast(valid & (chosen == int(level[1:])), "float32") for level in levels]
            strides = [step.student.stride(level) for level in levels]
            squares = mean_squares_of_levels(maps, boxes, strides, here, self.output_size)
            counts = ops.sum(sum(here), axis=1)
            share = sum_over_replicas(ops.sum(counts)) / total
            loss += share * self.loss.of_squares(squares, counts)
        return loss

    def _difference(self, step: Step, level: str) -> Tensor:
        """Computes `psi(F^S) - F^T` of a level, in the dtype of the student's map."""
        student = self.project(level, step.student_outputs["pyramid"][level])
        teacher = ops.stop_gradient(step.teacher_outputs["pyramid"][level])
        wide = ops.cast(student, "float32") - ops.cast(teacher, "float32")
        return ops.cast(wide, keras.backend.standardize_dtype(student.dtype))

    def level_of(self, boxes: Tensor) -> Tensor:
        """Compute the number of the pyramid level of each box: `(batch, regions)` int32."""
        sides = ops.maximum(boxes[..., 2:] - boxes[..., :2], 1e-6)
        size = ops.sqrt(sides[..., 0] * sides[..., 1])
        level = ops.floor(4.0 + ops.log(size / self.canonical_size) / math.log(2.0))
        numbers = np.array(sorted(int(level[1:]) for level in self.attached_levels), "int32")
        away = ops.abs(level[..., None] - numbers.astype("float32"))
        return ops.take(numbers, ops.argmin(away, axis=-1))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "levels": self.levels,
            "num_detections": self.num_detections,
            "max_regions": self.max_regions,
            "score_threshold": self.score_threshold,
            "output_size": self.output_size,
            "canonical_size": self.canonical_size,
        }


def _compares_squares(loss: Any) -> bool:
    """Tell whether a loss reads `(S - T)^2` alone: one class has `of_squares` and `compute`."""
    owners = [
        next((one for one in type(loss).__mro__ if name in vars(one)), None)
        for name in ("of_squares", "compute")
    ]
    return hasattr(loss, "of_squares") and owners[0] is owners[1]
