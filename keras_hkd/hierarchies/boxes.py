"""Boxes hierarchy: where both networks put the edges of the people."""

import keras
from keras import ops

from keras_hkd.hierarchies.hierarchy import Hierarchy, check_same_anchors


@keras.saving.register_keras_serializable(package="keras_hkd")
class Boxes(Hierarchy):
    """Compares raw box outputs at positive anchors; HKD's optional fourth hierarchy.

    A RetinaNet gives `(batch, anchors, 4)` deltas, to be compared with `FeatureImitation`; a YOLOV8
    gives logits of a distribution for each side, `(batch, anchors, 4, 16)`, for which
    `LogitDistillation(temperature=...)` is localization distillation
    (https://arxiv.org/abs/2102.12252).

    Args:
        loss: how box outputs are compared; called with `mask (batch, anchors)`.
        name: of the term.

    Raises:
        ValueError: when attached to detectors whose anchors do not line up.
    """

    default_name = "boxes"
    learner_kinds = ("detector",)

    def check(self, teacher, student):
        check_same_anchors(teacher, student, type(self).__name__)

    def compute(self, step):
        return self.loss(
            step.teacher.box_values(step.teacher_outputs["box_outputs"]),
            step.student.box_values(step.student_outputs["box_outputs"]),
            mask=ops.cast(step.assignment.positive, "float32"),
        )
