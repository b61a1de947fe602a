"""What one training step knows, computed once and read by every hierarchy."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from keras import ops

from keras_hkd.boxes.geometry import clip
from keras_hkd.hierarchies.alignment import misalignment
from keras_hkd.hierarchies.box_matching import Matched, match_detections
from keras_hkd.hierarchies.shared_view import content_map, view_scale
from keras_hkd.tensors import Tensor, TensorDict

__all__ = ["Step"]

# Of a teacher whose anchors are not the student's, so many detections that score more than this.
MATCHED_DETECTIONS, MATCHED_SCORE = 64, 0.05


class Step:
    """Predictions of teacher and student on one batch, and what follows from them.

    Args:
        teacher: the teaching `Detector` or `Classifier`, or None.
        student: the learning one, with its auxiliary parts if it has any.
        teacher_outputs: what `teacher(images)` gave, without gradient, of its classes those of the
            student; None if no hierarchy asks. A teacher that is only known by what it detected
            gives `{"detections": {"boxes", "classes", "confidence"}}`, padded with -1, best first,
            boxes in pixels of the images.
        student_outputs: what `student(images)` gave.
        labels: of a detector a dict of `boxes (batch, n, 4)` xyxy pixels and `classes (batch, n)`,
            padded with -1; of a classifier a dict of `classes (batch,)`.
        assignment: what `student.assign` gave.
        image_size: `(height, width)` in pixels.
        images: `(batch, height, width, 3)` RGB in [0, 255].
        training: False in `evaluate`, where no queue, statistic or other state may change.
        teacher_image_size: `(height, width)` that the teacher saw the images at; None for theirs.
    """

    def __init__(
        self,
        teacher: Any,
        student: Any,
        teacher_outputs: Any,
        student_outputs: Any,
        labels: Any,
        assignment: Any,
        image_size: Sequence[int],
        images: Tensor | None = None,
        training: bool = False,
        teacher_image_size: Sequence[int] | None = None,
    ) -> None:
        self.teacher = teacher
        self.student = student
        self.teacher_outputs = teacher_outputs
        self.student_outputs = student_outputs
        self.labels = labels
        self.assignment = assignment
        self.image_size = image_size
        self.images = images
        self.training = training
        self.teacher_image_size = image_size if teacher_image_size is None else teacher_image_size
        self.of_teachers: tuple[Step, ...] = (self,)
        self._detections: dict[tuple[int, float], TensorDict] = {}

    @cached_property
    def lines_up(self) -> bool:
        """Whether anchor i of the teacher is anchor i of the student."""
        same_size = tuple(self.teacher_image_size) == tuple(self.image_size)
        dense = "class_logits" in self.teacher_outputs
        return same_size and dense and misalignment(self.teacher, self.student) is None

    @cached_property
    def matched(self) -> Matched:
        """What the teacher detected at each anchor of the student; see `match_detections`."""
        found = self.detections(MATCHED_DETECTIONS, MATCHED_SCORE)
        return match_detections(self.student, self.student_outputs, found, self.image_size)

    @cached_property
    def people(self) -> Tensor:
        """Boxes of the labelled people, -1 where a label does not count."""
        there = ops.expand_dims(self.labels["classes"] >= 0, axis=-1)
        return ops.where(there, ops.cast(self.labels["boxes"], "float32"), -1.0)

    def teacher_map(self, features: Tensor, student_features: Tensor) -> Tensor:
        """A map of the teacher on the cells of the student's; itself where these are the same."""
        shape = tuple(student_features.shape[1:3])
        return content_map(features, self.image_size, self.teacher_image_size, shape)

    def regions(self, num_detections: int, score_threshold: float) -> tuple[Tensor, Tensor]:
        """The region set that both networks are read at: labelled people, then the teacher's best.

        Args:
            num_detections: the teacher's detections per image, after non-maximum suppression.
            score_threshold: detections that score at most this are no regions.

        Returns:
            `boxes (batch, regions, 4)` xyxy pixels inside the image, and `valid (batch, regions)`
            bool, both without gradient.
        """
        boxes = ops.cast(self.labels["boxes"], "float32")
        valid = self.labels["classes"] >= 0
        if num_detections:
            found = self.detections(num_detections, score_threshold)
            boxes = ops.concatenate([boxes, found["boxes"]], axis=1)
            valid = ops.concatenate([valid, found["classes"] >= 0], axis=1)
        boxes = clip(boxes, self.image_size, xp=ops)
        valid = valid & (boxes[..., 2] - boxes[..., 0] >= 1) & (boxes[..., 3] - boxes[..., 1] >= 1)
        return ops.stop_gradient(boxes), ops.stop_gradient(valid)

    @cached_property
    def positive_cells(self) -> dict[str, Tensor]:
        """`{level: (batch, height, width)}` bool: cells that hold a positive anchor."""
        positive = self.assignment.positive
        cells = _cells_by_level(self.student, positive, self.image_size)
        return {level: ops.any(anchors, axis=-1) for level, anchors in cells.items()}

    @cached_property
    def _teacher_scores(self) -> dict[str, Tensor]:
        best = ops.sigmoid(ops.max(self.teacher_outputs["class_logits"], axis=-1))
        cells = _cells_by_level(self.teacher, best, self.teacher_image_size)
        return {level: ops.max(anchors, axis=-1) for level, anchors in cells.items()}

    def teacher_cell_scores(self, level: str, student_features: Tensor) -> Tensor:
        """The teacher's best class score at each cell of the student's map of a level.

        Args:
            level: such as `"P3"`.
            student_features: the student's map, `(batch, height, width, channels)`.

        Returns:
            `(batch, height, width)` in [0, 1], without gradient.
        """
        scores = ops.cast(self._teacher_scores[level], "float32")[..., None]
        return ops.stop_gradient(self.teacher_map(scores, student_features)[..., 0])

    def detections(self, num_detections: int, score_threshold: float) -> TensorDict:
        """The teacher's best detections of each image, after non-maximum suppression.

        Args:
            num_detections: how many at most.
            score_threshold: those that score at most this are none.

        Returns:
            dict of `boxes (batch, n, 4)` xyxy pixels of the student's images, `classes (batch, n)`
            and `confidence (batch, n)`, padded with -1.
        """
        key = (num_detections, score_threshold)
        if key not in self._detections:
            self._detections[key] = self._detect(num_detections, score_threshold)
        return self._detections[key]

    def _detect(self, num_detections: int, score_threshold: float) -> TensorDict:
        if "detections" in self.teacher_outputs:
            return _best(self.teacher_outputs["detections"], num_detections, score_threshold)
        found = self.teacher.detections(
            self.teacher_outputs,
            self.teacher_image_size,
            max_detections=num_detections,
            score_threshold=score_threshold,
            num_candidates=4 * num_detections,
        )
        if tuple(self.teacher_image_size) == tuple(self.image_size):
            return found
        there = ops.expand_dims(found["classes"] >= 0, axis=-1)
        boxes = found["boxes"] / view_scale(self.image_size, self.teacher_image_size)
        return {**found, "boxes": ops.where(there, boxes, -1.0)}


def _cells_by_level(detector: Any, values: Tensor, image_size: Sequence[int]) -> dict[str, Tensor]:
    """`{level: (batch, height, width, anchors of a cell)}` of values `(batch, anchors)`."""
    per_cell = detector.anchors_per_cell
    cells, start = {}, 0
    for level, (height, width) in detector.level_shapes(image_size).items():
        stop = start + height * width * per_cell
        cells[level] = ops.reshape(values[:, start:stop], (-1, height, width, per_cell))
        start = stop
    return cells


def _best(detections: TensorDict, num_detections: int, score_threshold: float) -> dict[str, Tensor]:
    """The first so many of given detections, and of these those that score enough."""
    boxes, classes, confidence = (
        ops.convert_to_tensor(detections[key])[:, :num_detections]
        for key in ("boxes", "classes", "confidence")
    )
    there = (classes >= 0) & (confidence > score_threshold)
    if "ranks" in detections:  # of a longer list: as many candidates as a live teacher would have
        ranks = ops.convert_to_tensor(detections["ranks"])[:, :num_detections]
        there = there & (ranks < 4 * num_detections)
    return {
        "boxes": ops.where(there[..., None], ops.cast(boxes, "float32"), -1.0),
        "classes": ops.where(there, ops.cast(classes, "int32"), -1),
        "confidence": ops.where(there, ops.cast(confidence, "float32"), -1.0),
    }
