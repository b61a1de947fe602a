"""What one training step knows, computed once and read by every hierarchy."""

from functools import cached_property

from keras import ops

from keras_hkd.boxes.clipping import clip


class Step:
    """Predictions of teacher and student on one batch, and what follows from them.

    Args:
        teacher: the teaching `Detector` or `Classifier`, or None.
        student: the learning one, with its auxiliary parts if it has any.
        teacher_outputs: what `teacher(images)` gave, without gradient; None if no hierarchy asks.
        student_outputs: what `student(images)` gave.
        labels: of a detector a dict of `boxes (batch, n, 4)` xyxy pixels and `classes (batch, n)`,
            padded with -1; of a classifier a dict of `classes (batch,)`.
        assignment: what `student.assign` gave.
        image_size: `(height, width)` in pixels.
        images: `(batch, height, width, 3)` RGB in [0, 255].
        training: False in `evaluate`, where no queue, statistic or other state may change.
    """

    def __init__(
        self,
        teacher,
        student,
        teacher_outputs,
        student_outputs,
        labels,
        assignment,
        image_size,
        images=None,
        training=False,
    ):
        self.teacher = teacher
        self.student = student
        self.teacher_outputs = teacher_outputs
        self.student_outputs = student_outputs
        self.labels = labels
        self.assignment = assignment
        self.image_size = image_size
        self.images = images
        self.training = training
        self._detections = {}

    def regions(self, num_detections, score_threshold):
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
            found = self._teacher_detections(num_detections, score_threshold)
            boxes = ops.concatenate([boxes, found["boxes"]], axis=1)
            valid = ops.concatenate([valid, found["classes"] >= 0], axis=1)
        boxes = clip(boxes, self.image_size, xp=ops)
        valid = valid & (boxes[..., 2] - boxes[..., 0] >= 1) & (boxes[..., 3] - boxes[..., 1] >= 1)
        return ops.stop_gradient(boxes), ops.stop_gradient(valid)

    @cached_property
    def positive_cells(self):
        """`{level: (batch, height, width)}` bool: cells that hold a positive anchor."""
        shapes = self.student.level_shapes(self.image_size)
        per_cell = self.student.anchors_per_cell
        cells, start = {}, 0
        for level, (height, width) in shapes.items():
            stop = start + height * width * per_cell
            anchors = self.assignment.positive[:, start:stop]
            grid = ops.reshape(anchors, (-1, height, width, per_cell))
            cells[level] = ops.any(grid, axis=-1)
            start = stop
        return cells

    def _teacher_detections(self, num_detections, score_threshold):
        key = (num_detections, score_threshold)
        if key not in self._detections:
            self._detections[key] = self.teacher.detections(
                self.teacher_outputs,
                self.image_size,
                max_detections=num_detections,
                score_threshold=score_threshold,
                num_candidates=4 * num_detections,
            )
        return self._detections[key]
