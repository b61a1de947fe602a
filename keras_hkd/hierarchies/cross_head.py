"""CrossHead hierarchy: the student's features through the rest of the teacher's head (CrossKD)."""

import keras
from keras import ops

from keras_hkd.hierarchies.alignment import check_same_anchors
from keras_hkd.hierarchies.hierarchy import Hierarchy
from keras_hkd.hierarchies.projection import projection
from keras_hkd.losses.giou import GIoU
from keras_hkd.losses.quality_focal_distillation import QualityFocalDistillation
from keras_hkd.replicas import sum_over_replicas

HEADS = {"class": "classification_head", "box": "box_head"}


@keras.saving.register_keras_serializable(package="keras_hkd")
class CrossHead(Hierarchy):
    """The student's own predictions answer to the labels alone; crossed ones to the teacher.

    The student's features before the last convolution of its tower are, before their ReLU, brought
    to the mean and deviation of the teacher's channels (over images and cells of a level) and sent
    through the teacher's frozen last convolution and predictor. With these cross predictions

    `L = class_loss(logits^T, cross logits) + box_loss(boxes^T, cross boxes)`

    the first over all anchors that are not ignored, the second weighted by the teacher's best
    score, both over the number of positive anchors; published weight 1. Gradients pass through the
    teacher's layers into the student and change none of them. A 1x1 convolution bridges widths. 0
    for a copy, which is a kink.

    Args:
        class_loss: how logits `(batch, anchors, classes)` are compared; given `positives`.
            `QualityFocalDistillation()` by default.
        box_loss: how decoded boxes are compared, given `teacher_scores` and `positives`; `GIoU()`
            by default.
        name: of the term.

    Raises:
        ValueError: when attached to detectors whose anchors or classes do not line up, or whose
            heads are no towers shared by all levels: RetinaNet has these, YOLOV8 has not.

    Paper: https://arxiv.org/abs/2306.11369.
    """

    default_name = "cross_head"
    learner_kinds = ("detector",)
    needs_same_grid = True
    gives = (*Hierarchy.gives, "positives", "teacher_scores")

    def __init__(self, class_loss=None, *, box_loss=None, **kwargs):
        super().__init__(QualityFocalDistillation() if class_loss is None else class_loss, **kwargs)
        self.box_loss = GIoU() if box_loss is None else box_loss
        self.level_losses["box"] = self.box_loss

    def check(self, teacher, student):
        check_same_anchors(teacher, student, type(self).__name__)
        if teacher.class_names != student.class_names:
            raise ValueError(
                "CrossHead needs teacher and student of the same classes. Received: teacher "
                f"{teacher.class_names}, student {student.class_names}."
            )
        for role, detector in (("teacher", teacher), ("student", student)):
            for name in HEADS.values():
                layers = getattr(getattr(_model(detector), name, None), "conv_layers", ())
                if len(layers) < 2:
                    raise ValueError(
                        f"CrossHead needs a {name} with at least two `conv_layers` that all levels "
                        f"share, as RetinaNet has. The {role}, a {type(detector).__name__}, has "
                        f"{len(layers)}. Use ClassLogits(QualityFocalDistillation()) and "
                        "Boxes(GIoU()) for the same losses without the crossing."
                    )

    def attach(self, teacher, student):
        self.check(teacher, student)
        for key, name in HEADS.items():
            widths = [
                getattr(detector.model, name).conv_layers[-2].filters
                for detector in (teacher, student)
            ]
            if widths[0] != widths[1]:
                self.projections[key] = projection(
                    widths[1], widths[0], name=f"{self.name}_projection_{key}"
                )
        self.built = True

    def compute(self, step):
        logits = self._cross(step, "class", step.teacher.model.num_classes)
        logits = ops.take(logits, ops.array(step.teacher.class_indices, "int32"), axis=-1)
        boxes = step.teacher.decode_boxes(self._cross(step, "box", 4), step.image_size)
        outputs = step.teacher_outputs
        counted = ops.cast(ops.logical_not(step.assignment.ignored), "float32")
        class_term = self.compare("class", step, outputs["class_logits"], logits, mask=counted)
        wanted = step.teacher.decode_boxes(outputs["box_outputs"], step.image_size)
        return class_term + self.compare("box", step, wanted, boxes)

    def _cross(self, step, key, num_values):
        """Cross predictions `(batch, anchors, num_values)` of all levels."""
        teacher, student = (
            getattr(detector.model, HEADS[key]) for detector in (step.teacher, step.student)
        )
        predictions = []
        for level in step.student.levels:
            wanted = _before_last(teacher, step.teacher_outputs["pyramid"][level])
            found = _before_last(student, step.student_outputs["pyramid"][level])
            found = _rescaled(self.project(key, found), ops.stop_gradient(wanted))
            last = teacher.conv_layers[-2].activation(ops.cast(found, wanted.dtype))
            cross = teacher.prediction_layer(teacher.conv_layers[-1](last))
            cells = cross.shape[1] * cross.shape[2] * cross.shape[3] // num_values
            predictions.append(ops.reshape(ops.cast(cross, "float32"), (-1, cells, num_values)))
        return ops.concatenate(predictions, axis=1)

    def given(self, step):
        return {
            **super().given(step),
            "positives": lambda: step.assignment.positive,
            "teacher_scores": lambda: ops.sigmoid(
                ops.max(step.teacher_outputs["class_logits"], axis=-1)
            ),
        }

    def get_config(self):
        config = super().get_config()
        class_loss = config.pop("loss")
        return {
            **config,
            "class_loss": class_loss,
            "box_loss": keras.saving.serialize_keras_object(self.box_loss),
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        for key in ("class_loss", "box_loss"):
            if isinstance(config[key], dict):
                config[key] = keras.saving.deserialize_keras_object(config[key])
        return cls(**config)


def _model(detector):
    return getattr(detector, "model", None)


def _before_last(head, features):
    """The tower's features after its last convolution but one, before their activation."""
    for layer in head.conv_layers[:-2]:
        features = layer(features)
    layer = head.conv_layers[-2]
    activation, layer.activation = layer.activation, keras.activations.linear
    try:
        return layer(features)
    finally:
        layer.activation = activation


def _rescaled(student, teacher, epsilon=1e-6):
    """The student's channels with the teacher's mean and (n - 1) deviation."""
    student, teacher = ops.cast(student, "float32"), ops.cast(teacher, "float32")
    mean, deviation = _moments(student)
    teacher_mean, teacher_deviation = _moments(teacher)
    return (student - mean) / (deviation + epsilon) * teacher_deviation + teacher_mean


def _moments(features):
    axes = (0, 1, 2)
    count = sum_over_replicas(ops.cast(ops.size(features[..., 0]), "float32"))
    mean = sum_over_replicas(ops.sum(features, axis=axes)) / ops.maximum(count, 1.0)
    squares = sum_over_replicas(ops.sum(ops.square(features - mean), axis=axes))
    variance = squares / ops.maximum(count - 1.0, 1.0)
    varies = variance > 1e-12
    return mean, ops.where(varies, ops.sqrt(ops.where(varies, variance, 1.0)), 0.0)
