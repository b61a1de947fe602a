"""Step: the outputs of one training step, which all hierarchies read."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from keras import ops

from keras_hkd.boxes.geometry import clip
from keras_hkd.hierarchies.alignment import misalignment
from keras_hkd.hierarchies.box_matching import Matched, match_detections
from keras_hkd.hierarchies.shared_view import content_map, view_scale
from keras_hkd.tensors import Tensor, TensorDict

__all__ = ["Step"]

# Number and least score of the detections of a teacher with other anchors.
MATCHED_DETECTIONS, MATCHED_SCORE = 64, 0.05


class Compared(NamedTuple):
    """What a loss was given at one call.

    Attributes:
        term: name of the hierarchy.
        key: key of the level, such as "P3"; "all" where levels lie behind one another.
        teacher: the teacher's tensor.
        student: the student's tensor, projected.
        mask: weights on the leading axes, or None.
        context: the further arguments that the loss declares, by name.
        loss: the loss that was called.
    """

    term: str
    key: str
    teacher: Tensor
    student: Tensor
    mask: Tensor | None
    context: Mapping[str, Any]
    loss: Any


class Step:
    """The outputs of teacher and student for one batch, and values derived from them.

    Derived values are computed when a hierarchy first reads them and then shared.

    Args:
        teacher: the teacher, a `Detector` or `Classifier`, or None.
        student: the student, with its auxiliary parts if it has any.
        teacher_outputs: result of `teacher(images)`, without gradient and reduced to the student's
            classes; None if no hierarchy reads it. A teacher that is only known by its detections
            gives `{"detections": {"boxes", "classes", "confidence"}}`, padded with -1, best first,
            boxes in pixels of the images.
        student_outputs: result of `student(images)`.
        labels: for detectors a dict of `boxes (batch, n, 4)` xyxy pixels and `classes (batch, n)`,
            padded with -1; for classifiers a dict of `classes (batch,)`.
        assignment: result of `student.assign`.
        image_size: `(height, width)` in pixels.
        images: `(batch, height, width, 3)` RGB in [0, 255].
        training: False in `evaluate`, where no queue, statistic or other state may change.
        teacher_image_size: `(height, width)` at which the teacher saw the images; None for
            `image_size`.
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
        # Where this is a list, hierarchies add to it what they give to their losses.
        self.compared: list[Compared] | None = None
        self._detections: dict[tuple[int, float], TensorDict] = {}

    @cached_property
    def lines_up(self) -> bool:
        """Whether anchor i of the teacher is anchor i of the student."""
        same_size = tuple(self.teacher_image_size) == tuple(self.image_size)
        dense = "class_logits" in self.teacher_outputs
        return same_size and dense and misalignment(self.teacher, self.student) is None

    @cached_property
    def matched(self) -> Matched:
        """The teacher's detections at the anchors of the student; see `match_detections`."""
        found = self.detections(MATCHED_DETECTIONS, MATCHED_SCORE)
        return match_detections(self.student, self.student_outputs, found, self.image_size)

    @cached_property
    def people(self) -> Tensor:
        """The boxes of the labelled people; -1 for labels that do not count."""
        there = ops.expand_dims(self.labels["classes"] >= 0, axis=-1)
        return ops.where(there, ops.cast(self.labels["boxes"], "float32"), -1.0)

    def teacher_map(self, features: Tensor, student_features: Tensor) -> Tensor:
        """Resize a map of the teacher to the cells of the student's map, if they differ."""
        shape = tuple(student_features.shape[1:3])
        return content_map(features, self.image_size, self.teacher_image_size, shape)

    def regions(self, num_detections: int, score_threshold: float) -> tuple[Tensor, Tensor]:
        """Return the regions: labelled people, then the teacher's best detections.

        Args:
            num_detections: number of the teacher's detections per image, after non-maximum
                suppression.
            score_threshold: detections whose score is not above it are no regions.

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
        """The cells with a positive anchor: dict from level to `(batch, height, width)` bool."""
        positive = self.assignment.positive
        cells = _cells_by_level(self.student, positive, self.image_size)
        return {level: ops.any(anchors, axis=-1) for level, anchors in cells.items()}

    @cached_property
    def _teacher_scores(self) -> dict[str, Tensor]:
        best = ops.sigmoid(ops.max(self.teacher_outputs["class_logits"], axis=-1))
        cells = _cells_by_level(self.teacher, best, self.teacher_image_size)
        return {level: ops.max(anchors, axis=-1) for level, anchors in cells.items()}

    def teacher_cell_scores(self, level: str, student_features: Tensor) -> Tensor:
        """Compute the teacher's best class score at each cell of the student's map of a level.

        Args:
            level: the level, such as `"P3"`.
            student_features: the student's map, `(batch, height, width, channels)`.

        Returns:
            `(batch, height, width)` in [0, 1], without gradient.
        """
        scores = ops.cast(self._teacher_scores[level], "float32")[..., None]
        return ops.stop_gradient(self.teacher_map(scores, student_features)[..., 0])

    def detections(self, num_detections: int, score_threshold: float) -> TensorDict:
        """Return the teacher's best detections of each image, after non-maximum suppression.

        Args:
            num_detections: largest number per image.
            score_threshold: detections whose score is not above it are left out.

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
    """Split `(batch, anchors)` into `{level: (batch, height, width, anchors of a cell)}`."""
    per_cell = detector.anchors_per_cell
    cells, start = {}, 0
    for level, (height, width) in detector.level_shapes(image_size).items():
        stop = start + height * width * per_cell
        cells[level] = ops.reshape(values[:, start:stop], (-1, height, width, per_cell))
        start = stop
    return cells


def _best(detections: TensorDict, num_detections: int, score_threshold: float) -> dict[str, Tensor]:
    """Return the first `num_detections` of given detections; those of low score become -1."""
    boxes, classes, confidence = (
        ops.convert_to_tensor(detections[key])[:, :num_detections]
        for key in ("boxes", "classes", "confidence")
    )
    there = (classes >= 0) & (confidence > score_threshold)
    if "ranks" in detections:  # of a longer list; keeps the candidates that a live teacher has
        ranks = ops.convert_to_tensor(detections["ranks"])[:, :num_detections]
        there = there & (ranks < 4 * num_detections)
    return {
        "boxes": ops.where(there[..., None], ops.cast(boxes, "float32"), -1.0),
        "classes": ops.where(there, ops.cast(classes, "int32"), -1),
        "confidence": ops.where(there, ops.cast(confidence, "float32"), -1.0),
    }
