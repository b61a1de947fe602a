"""CrossHead: compares predictions of the teacher's head on the student's features (CrossKD)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import keras
from keras import ops

from keras_hkd.boxes.coding import joint_logits
from keras_hkd.errors import InvalidValueError
from keras_hkd.hierarchies.alignment import check_same_anchors, projection, shared_classes
from keras_hkd.hierarchies.hierarchy import Hierarchy
from keras_hkd.losses.channel_moments import channel_moments
from keras_hkd.losses.giou import GIoU
from keras_hkd.losses.quality_focal_distillation import QualityFocalDistillation
from keras_hkd.tensors import Tensor

if TYPE_CHECKING:
    from keras_hkd.hierarchies.step import Step
    from keras_hkd.learner import Learner

__all__ = ["CrossHead"]

HEADS = {"class": "class_logits", "box": "box_outputs", "objectness": "objectness"}


@keras.saving.register_keras_serializable(package="keras_hkd")
class CrossHead(Hierarchy):
    """Compares predictions that the teacher's head makes from the student's features (CrossKD).

    So the student's own predictions are trained on labels only, and the cross predictions by the
    teacher. The student's features before the last convolution of its tower are, before their ReLU,
    brought to the mean and deviation of the teacher's channels (over images and cells of a level)
    and passed through the teacher's frozen last convolution and predictor. (A RetinaNet's tower is
    shared by all levels; YOLOV8 has one head per level, of which the second convolution is the
    last.) The objectness of families that have it is crossed like the class logits and joined with
    them. With these cross predictions

    `L = class_loss(logits^T, cross logits) + box_loss(boxes^T, cross boxes)`

    the first over all anchors that are not ignored, the second weighted by the teacher's best
    score, both divided by the number of positive anchors; published weight 1. Gradients pass
    through the teacher's layers into the student and do not change these layers. A 1x1 convolution
    bridges different widths. The loss is 0 at a copy, where it is not differentiable; for YOLOV8,
    whose student normalises by batch statistics, not in training.

    Args:
        class_loss: loss between logits `(batch, anchors, classes)`; may use `positives`.
            `QualityFocalDistillation()` by default.
        box_loss: loss between decoded boxes; may use `teacher_scores` and `positives`. `GIoU()` by
            default.
        name: name of the term.

    Raises:
        ValueError: when attached, if anchors do not line up, the teacher lacks the student's
            classes, or a head cannot be split before its last convolution.

    Reference:
        https://arxiv.org/abs/2306.11369.
    """

    default_name = "cross_head"
    samples = ()
    learner_kinds = ("detector",)
    tensors = ("logits",)
    needs_same_grid = True
    runs_teacher = True
    rank = 3
    gives = (*Hierarchy.gives, "positives", "teacher_scores")

    def __init__(self, class_loss: Any = None, *, box_loss: Any = None, **kwargs: Any) -> None:
        super().__init__(QualityFocalDistillation() if class_loss is None else class_loss, **kwargs)
        self.box_loss = GIoU() if box_loss is None else box_loss
        self.check_loss(self.box_loss, ("boxes",))
        self.level_losses["box"] = self.box_loss

    def check(self, teacher: Any, student: Learner) -> None:
        check_same_anchors(teacher, student, type(self).__name__)
        shared_classes(teacher, student, type(self).__name__)
        self.check_classes(student)
        for role, detector in (("teacher", teacher), ("student", student)):
            for key in _keys(detector):
                if detector.open_head(key) is None:
                    raise InvalidValueError(
                        f"CrossHead needs a {key} head that can be cut before its last "
                        "convolution, such as at least two `conv_layers` with their activations "
                        f"inside. That of the {role}, a {type(detector).__name__}, cannot. Use "
                        "ClassLogits(QualityFocalDistillation()) and Boxes(GIoU()) for the same "
                        f"losses without the crossing. Received: '{detector.name}' as {role}"
                    )

    def attach(self, teacher: Any, student: Learner) -> None:
        self.check(teacher, student)
        self.heads = {
            key: tuple(detector.open_head(key) for detector in (teacher, student))
            for key in _keys(teacher)
        }
        for key, (wanted, found) in self.heads.items():
            for head in (wanted, found):
                head.watch()
            for level in ("",) if wanted.shared else student.levels:
                if wanted.width != found.width:
                    name = f"{self.name}_projection_{key}{level.lower()}"
                    self.projections[key + level] = projection(found.width, wanted.width, name=name)
        self.chosen = shared_classes(teacher, student)
        self.built = True

    def compute(self, step: Step) -> Tensor:
        if not step.lines_up:
            raise InvalidValueError(
                "CrossHead needs teacher and student to see the images at one size. Received: "
                f"{step.teacher_image_size} and {step.image_size}. Set teacher_image_size=None."
            )
        logits = self._cross(step, "class", step.teacher.model.num_classes)
        logits = ops.take(logits, ops.array(step.teacher.class_indices, "int32"), axis=-1)
        if "objectness" in self.heads:
            logits = joint_logits(logits, self._cross(step, "objectness", 1), ops)
        if self.chosen is not None:
            logits = ops.take(logits, ops.array(self.chosen, "int32"), axis=-1)
        outputs = step.teacher_outputs
        crossed = self._cross(step, "box", step.teacher.coding.num_values)
        boxes = step.teacher.decode_boxes(crossed, step.image_size)
        counted = ops.cast(ops.logical_not(step.assignment.ignored), "float32")
        class_term = self.compare("class", step, outputs["class_logits"], logits, mask=counted)
        wanted = step.teacher.decode_boxes(outputs["box_outputs"], step.image_size)
        return class_term + self.compare("box", step, wanted, boxes)

    def _cross(self, step: Step, key: str, num_values: int) -> Tensor:
        """Compute the cross predictions `(batch, anchors, num_values)` of all levels."""
        teacher, student = self.heads[key]
        predictions = []
        for level in step.student.levels:
            wanted = ops.stop_gradient(teacher.before(step.teacher_outputs, level))
            found = student.before(step.student_outputs, level)
            found = self.project(key if teacher.shared else key + level, found)
            cross = teacher.after(ops.cast(_rescaled(found, wanted), wanted.dtype), level)
            cells = cross.shape[1] * cross.shape[2] * cross.shape[3] // num_values
            predictions.append(ops.reshape(ops.cast(cross, "float32"), (-1, cells, num_values)))
        return ops.concatenate(predictions, axis=1)

    def given(self, step: Step) -> dict[str, Callable[[], Any]]:
        return {
            **super().given(step),
            "positives": lambda: step.assignment.positive,
            "teacher_scores": lambda: ops.sigmoid(
                ops.max(step.teacher_outputs["class_logits"], axis=-1)
            ),
        }

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        class_loss = config.pop("loss")
        return {
            **config,
            "class_loss": class_loss,
            "box_loss": keras.saving.serialize_keras_object(self.box_loss),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        config = dict(config)
        for key in ("class_loss", "box_loss"):
            if isinstance(config[key], dict):
                config[key] = keras.saving.deserialize_keras_object(config[key])
        return cls(**config)


def _keys(detector: Any) -> list[str]:
    """Return the keys of the heads that are crossed."""
    return [key for key, name in HEADS.items() if name in detector.head_names]


def _rescaled(student: Tensor, teacher: Tensor, epsilon: float = 1e-6) -> Tensor:
    """Rescale the student's channels to the teacher's mean and unbiased (n - 1) deviation.

    A constant channel becomes the teacher's mean, without gradient, which would be of the size of
    1 / epsilon.
    """
    maps = [ops.cast(features, "float32") for features in (student, teacher)]
    means, centred, deviations = channel_moments(maps, epsilon=epsilon)
    scale = ops.where(deviations[0] > 0, deviations[1] / (deviations[0] + epsilon), 0.0)
    return centred[0] * scale + means[1]
