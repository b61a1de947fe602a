"""Boxes: compares box outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_hkd.errors import InvalidValueError
from keras_hkd.hierarchies.alignment import shared_classes
from keras_hkd.hierarchies.class_logits import PLACES, describe_dense_match
from keras_hkd.hierarchies.hierarchy import Hierarchy
from keras_hkd.losses.localization_distillation import valuable_region
from keras_hkd.tensors import Tensor, TensorDict

if TYPE_CHECKING:
    from keras_hkd.hierarchies.step import Step
    from keras_hkd.learner import Learner

__all__ = ["Boxes"]


@keras.saving.register_keras_serializable(package="keras_hkd")
class Boxes(Hierarchy):
    """Compares box outputs at positive anchors; HKD's optional fourth hierarchy.

    A RetinaNet gives `(batch, anchors, 4)` deltas, which `FeatureImitation` and
    `TeacherBoundedRegression` compare; a YOLOV8 gives logits of a distribution for each side,
    `(batch, anchors, 4, 16)`, which `LocalizationDistillation` compares. Decoded, both give boxes
    in xyxy pixels, which `GIoU` compares.

    If the teacher has other anchors, is of another family or sees images of another size, its
    detections are matched to the student's anchors (see
    `keras_hkd.hierarchies.match_detections`) and encoded as the student encodes boxes: as deltas,
    or as distributions over two bins, which do not carry the teacher's uncertainty. Only positive
    anchors with a detection of the teacher count then.

    Args:
        loss: loss between box outputs; called with `mask (batch, anchors)`.
        decoded: whether boxes in pixels are compared; None for what the loss is made for.
        at: `"positives"`, anchors that are assigned to labelled people, or `"all"`, every anchor
            that the assignment does not ignore, for losses that weight anchors by the teacher's
            scores.
        name: name of the term.

    Raises:
        ValueError: if `at` is unknown or does not suit the loss; when attached, if the box outputs
            have no targets for a loss that needs them, or the teacher lacks the student's classes.

    Example:

    >>> from keras_hkd.losses import GIoU
    >>> Boxes(GIoU()).compares_decoded
    True
    """

    default_name = "boxes"
    samples = ("GIoU", "LocalizationDistillation", "TeacherBoundedRegression")
    learner_kinds = ("detector",)
    tensors = ("boxes", "bins")
    reads = ("class_logits", "box_outputs")
    gives = (
        *Hierarchy.gives,
        *("targets", "positives", "student_scores", "teacher_scores", "valuable"),
    )

    def __init__(
        self, loss: Any, *, decoded: bool | None = None, at: str = "positives", **kwargs: Any
    ) -> None:
        super().__init__(loss, **kwargs)
        if at not in PLACES:
            raise InvalidValueError(f"`at` must be one of {PLACES}. Received: at={at!r}")
        self.decoded, self.at = decoded, at
        if at == "all" and "positives" in getattr(loss, "needs", ()):
            raise InvalidValueError(
                f"{type(loss).__name__} compares boxes of labelled people. Received: at='all'"
            )
        self.check_loss(loss, ("boxes",) if self.compares_decoded else ("bins",))

    @property
    def compares_decoded(self) -> bool:
        """Whether boxes in pixels are compared instead of raw outputs."""
        made_for_boxes = "boxes" in getattr(self.loss, "compares", ())
        return made_for_boxes if self.decoded is None else self.decoded

    def check(self, teacher: Any, student: Learner) -> None:
        if describe_dense_match(teacher, student, True) != "direct":
            shared_classes(teacher, student, type(self).__name__)
        needs = getattr(self.loss, "needs", ())
        has_bins = student.coding.num_bins > 0
        if "targets" in needs and not self.compares_decoded and has_bins:
            raise InvalidValueError(
                f"{type(self.loss).__name__} needs targets of the raw box outputs, which a "
                f"{type(student).__name__} does not have. Compare pixels: decoded=True. "
                f"Received: decoded={self.decoded}"
            )
        if "bins" in getattr(self.loss, "compares", ()) and not has_bins:
            raise InvalidValueError(
                f"{type(self.loss).__name__} compares distributions over bins, which YOLOV8 "
                f"predicts for each edge of a box. Received: a {type(student).__name__} as "
                "student, which predicts numbers. Use GIoU()."
            )

    def describe_match(self, teacher: Any, student: Learner, same_size: bool = True) -> str:
        return describe_dense_match(teacher, student, same_size)

    def compute(self, step: Step) -> Tensor:
        positive, ignored = step.assignment.positive, step.assignment.ignored
        mask = positive if self.at == "positives" else ~ignored
        if step.lines_up:
            teacher = self._values(step.teacher, step.teacher_outputs["box_outputs"], step)
        else:
            mask = mask & step.matched.found
            teacher = step.matched.boxes
            if not self.compares_decoded:
                found = step.student.encode_boxes(teacher, step.image_size)
                teacher = step.student.box_values(found)
        student = self._values(step.student, step.student_outputs["box_outputs"], step)
        return self.compare("all", step, teacher, student, mask=ops.cast(mask, "float32"))

    def _values(self, detector: Any, outputs: Tensor, step: Step) -> Tensor:
        if self.compares_decoded:
            return detector.decode_boxes(outputs, step.image_size)
        return detector.box_values(outputs)

    def given(self, step: Step) -> dict[str, Callable[[], Any]]:
        assignment = step.assignment

        def targets() -> Tensor:
            if self.compares_decoded:
                return assignment.target_boxes
            return step.student.encode_boxes(assignment.target_boxes, step.image_size)

        def teacher_scores() -> Tensor:
            if step.lines_up:
                return _best_scores(step.teacher_outputs)
            return step.matched.scores

        def valuable() -> Tensor:
            people, present = step.labels["boxes"], step.labels["classes"] >= 0
            weights = valuable_region(step.student.anchors(step.image_size), people, present)
            weights = ops.where(assignment.positive, 0.0, weights)
            # Where the teacher has no detection, there are no edges to learn.
            return weights if step.lines_up else ops.where(step.matched.found, weights, 0.0)

        return {
            **super().given(step),
            "targets": targets,
            # If all anchors count, losses divide by the sum of their weights instead.
            "positives": lambda: assignment.positive if self.at == "positives" else None,
            "student_scores": lambda: _best_scores(step.student_outputs),
            "teacher_scores": teacher_scores,
            "valuable": valuable,
        }

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "decoded": self.decoded, "at": self.at}


def _best_scores(outputs: TensorDict) -> Tensor:
    return ops.stop_gradient(ops.sigmoid(ops.max(outputs["class_logits"], axis=-1)))
