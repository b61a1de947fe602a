"""Boxes hierarchy: where both networks put the edges of the people."""

import keras
from keras import ops

from keras_hkd.hierarchies.hierarchy import Hierarchy, check_same_anchors
from keras_hkd.losses.localization_distillation import valuable_region


@keras.saving.register_keras_serializable(package="keras_hkd")
class Boxes(Hierarchy):
    """Compares box outputs at positive anchors; HKD's optional fourth hierarchy.

    A RetinaNet gives `(batch, anchors, 4)` deltas, to be compared with `FeatureImitation` or
    `TeacherBoundedRegression`; a YOLOV8 gives logits of a distribution for each side, `(batch,
    anchors, 4, 16)`, for which there is `LocalizationDistillation`. Decoded, both give boxes in
    xyxy pixels, which `GIoU` compares.

    Args:
        loss: how box outputs are compared; called with `mask (batch, anchors)`.
        decoded: whether boxes in pixels are compared; None for what the loss is made for.
        name: of the term.

    Raises:
        ValueError: when attached to detectors whose anchors do not line up, or whose box outputs
            have no targets for a loss that needs them.

    Example:
    >>> from keras_hkd.losses import GIoU
    >>> Boxes(GIoU()).compares_decoded
    True
    """

    default_name = "boxes"
    learner_kinds = ("detector",)
    gives = (
        *Hierarchy.gives,
        *("targets", "positives", "student_scores", "teacher_scores", "valuable"),
    )

    def __init__(self, loss, *, decoded=None, **kwargs):
        super().__init__(loss, **kwargs)
        self.decoded = decoded

    @property
    def compares_decoded(self):
        """Whether boxes in pixels are compared rather than raw outputs."""
        return getattr(self.loss, "decoded_boxes", False) if self.decoded is None else self.decoded

    def check(self, teacher, student):
        check_same_anchors(teacher, student, type(self).__name__)
        needs = getattr(self.loss, "needs", ())
        if "targets" in needs and not self.compares_decoded and not _encodes(student):
            raise ValueError(
                f"{type(self.loss).__name__} needs targets of the raw box outputs, which a "
                f"{type(student).__name__} does not have. Compare pixels: decoded=True."
            )

    def compute(self, step):
        mask = ops.cast(step.assignment.positive, "float32")
        teacher, student = (
            self._values(detector, outputs["box_outputs"], step.image_size)
            for detector, outputs in (
                (step.teacher, step.teacher_outputs),
                (step.student, step.student_outputs),
            )
        )
        return self.compare("all", step, teacher, student, mask=mask)

    def _values(self, detector, outputs, image_size):
        if self.compares_decoded:
            return detector.decode_boxes(outputs, image_size)
        return detector.box_values(outputs)

    def given(self, step):
        assignment = step.assignment

        def targets():
            if self.compares_decoded:
                return assignment.target_boxes
            return step.student.encode_boxes(assignment.target_boxes, step.image_size)

        def valuable():
            people, present = step.labels["boxes"], step.labels["classes"] >= 0
            weights = valuable_region(_anchors(step.student, step.image_size), people, present)
            return ops.where(assignment.positive, 0.0, weights)

        return {
            **super().given(step),
            "targets": targets,
            "positives": lambda: assignment.positive,
            "student_scores": lambda: _best_scores(step.student_outputs),
            "teacher_scores": lambda: _best_scores(step.teacher_outputs),
            "valuable": valuable,
        }

    def get_config(self):
        return {**super().get_config(), "decoded": self.decoded}


def _encodes(detector):
    return hasattr(detector, "encode_boxes")


def _best_scores(outputs):
    return ops.stop_gradient(ops.sigmoid(ops.max(outputs["class_logits"], axis=-1)))


def _anchors(detector, image_size):
    """`(anchors, 4)` xyxy pixels; squares of 8 strides, as LD has them, where there are none."""
    if hasattr(detector, "anchors"):
        return detector.anchors(image_size)
    points, half = detector.anchor_points(image_size), 4.0 * detector.anchor_strides(image_size)
    return ops.concatenate([points - half, points + half], axis=-1)
