"""CropRotations: compares backbones of detectors on rotated crops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_hkd import checks
from keras_hkd.boxes.iou import pairwise_iou
from keras_hkd.errors import InvalidValueError
from keras_hkd.hierarchies.best_boxes import best_boxes
from keras_hkd.hierarchies.hierarchy import Hierarchy
from keras_hkd.hierarchies.roi_align import roi_align
from keras_hkd.methods.hsakd.branches import light_branch
from keras_hkd.methods.hsakd.rotations import NUM_ROTATIONS, joint_labels, rotate_four
from keras_hkd.methods.hsakd.self_supervised import joint_cross_entropy
from keras_hkd.tensors import Tensor, TensorDict

if TYPE_CHECKING:
    from keras_hkd.hierarchies.step import Step

__all__ = ["CropRotations"]

# Centres of background boxes in fractions of the image (Halton points of bases 2 and 3), and sides
# in fractions of its shorter side, in turn.
_CENTRES = tuple(
    (x, y)
    for x, y in zip(
        (0.5, 0.25, 0.75, 0.125, 0.625, 0.375, 0.875, 0.0625),
        (0.333, 0.667, 0.111, 0.444, 0.778, 0.222, 0.556, 0.889),
        strict=True,
    )
)
_SIDES = (0.25, 0.4)


@keras.saving.register_keras_serializable(package="keras_hkd")
class CropRotations(Hierarchy):
    """Compares logits of class and rotation of branches on both backbones, for rotated crops.

    Squares are cropped around the largest people of an image and from background, resized, and
    rotated by four quarter turns. Both backbones run on them. A branch on each of P3 to P5 predicts
    one of `4 * (classes + 1)` pairs of class (or background) and rotation: 8 for pedestrians.

        L = sum over levels of [ loss(q_l^T, q_l^S) + CE(q_l^T, 4 * class + turn) ]

    The first part trains the student's backbone and branches, the second only the teacher's
    branches, which are trained along on the frozen backbone. Both backbones use the BatchNorm
    statistics of whole images for crops and do not update them.

    Reconstruction: HSAKD transfers a backbone that was distilled as a classifier; branches in the
    detector are ours. Keep the weight low: people are upright, so rotations are easy to tell.

    Args:
        loss: loss between logits `(crops, 4 * (classes + 1))`; called with `mask (crops,)`.
        num_people: number of crops of people per image, the largest first.
        num_background: number of crops of background per image, at fixed places without labels.
        crop_size: side in pixels of the resized crops, a multiple of 32.
        context: ratio of the square's side to the longer side of the box.
        min_side_px: people whose longer side is shorter are not cropped.
        name: name of the term.

    Raises:
        ValueError: if an option is out of its range; when attached, if the detectors' classes
            differ.

    Example:

    >>> from keras_hkd.losses import LogitDistillation
    >>> CropRotations(LogitDistillation()).crop_size
    64

    Reference:
        https://arxiv.org/abs/2107.13715.
    """

    default_name = "crop_rotations"
    tensors = ("logits",)
    learner_kinds = ("detector",)

    def __init__(
        self,
        loss: Any,
        *,
        num_people: int = 2,
        num_background: int = 2,
        crop_size: int = 64,
        context: float = 1.2,
        min_side_px: float = 16.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(loss, **kwargs)
        self.num_people = checks.whole("num_people", num_people, low=1)
        self.num_background = checks.whole("num_background", num_background, low=1)
        sides = (crop_size, crop_size)
        self.crop_size, _ = checks.image_size("crop_size", sides, low=32, multiple_of=32)
        self.context = checks.positive("context", context)
        self.min_side_px = float(min_side_px)

    def check(self, teacher: Any, student: Any) -> None:
        if teacher.class_names != student.class_names:
            raise InvalidValueError(
                "CropRotations needs teacher and student of the same classes. Received: teacher "
                f"{teacher.class_names}, student {student.class_names}."
            )
        for role, detector in (("teacher", teacher), ("student", student)):
            backbone = getattr(detector.model, "backbone", None)
            if getattr(backbone, "pyramid_level_inputs", None) is None:
                raise InvalidValueError(
                    "CropRotations needs the backbone apart from the head, as KerasCV's detectors "
                    "have it (YOLOV8, RetinaNet): `model.backbone.pyramid_level_inputs`. Received: "
                    f"a {role} of the family {type(detector).__name__}, which has none"
                )

    def attach(self, teacher: Any, student: Any) -> None:
        self.check(teacher, student)
        self.background_class = student.num_classes
        self._backbones = _Backbones(teacher, student)
        self.teacher_branches = self._branches(self._backbones.teacher)
        self.student_branches = self._branches(self._backbones.student)
        self.built = True

    def _branches(self, backbone: keras.Model) -> dict[str, keras.Model]:
        num_logits = NUM_ROTATIONS * (self.background_class + 1)
        widths = {level: x.shape[-1] for level, x in backbone.output.items()}
        return {level: light_branch(widths, level, num_logits) for level in widths}

    def compute(self, step: Step) -> Tensor:
        return sum(self.parts(step))

    def parts(self, step: Step) -> tuple[Tensor, Tensor]:
        """Compute the term that trains the student, and the one for the teacher's branches."""
        crops, classes = self.crops(step)
        rotated, joint = rotate_four(crops), joint_labels(classes)
        teacher = self._logits(
            self._backbones.teacher,
            self.teacher_branches,
            self._backbones.to_teacher(rotated),
            step.training,
            frozen=True,
        )
        student = self._logits(
            self._backbones.student,
            self.student_branches,
            self._backbones.to_student(rotated),
            step.training,
        )
        counted = ops.cast(joint >= 0, "float32")
        taught = sum(self.compare(k, step, teacher[k], student[k], mask=counted) for k in student)
        return taught, sum(joint_cross_entropy(logits, joint) for logits in teacher.values())

    def _logits(
        self,
        backbone: keras.Model,
        branches: dict[str, keras.Model],
        crops: Tensor,
        training: bool,
        frozen: bool = False,
    ) -> dict[str, Tensor]:
        maps = backbone(crops, training=False)
        if frozen:
            maps = keras.tree.map_structure(ops.stop_gradient, maps)
        return {
            level: ops.cast(branches[level](maps[level], training=training), "float32")
            for level in branches
        }

    def crops(self, step: Step) -> tuple[Tensor, Tensor]:
        """Crop the images of a batch, without gradient.

        Args:
            step: a `Step`.

        Returns:
            The upright crops `(crops, side, side, 3)`, RGB in [0, 255], and their classes
            `(crops,)` int32; the number of classes stands for background, -1 for padding. Crops of
            an image are consecutive, people first.
        """
        people, classes = self._people(step.labels)
        background, free = self._background(step)
        boxes = ops.concatenate([people, background], axis=1)
        free = ops.where(free, self.background_class, -1)
        classes = ops.concatenate([classes, ops.cast(free, "int32")], axis=1)
        images = ops.cast(step.images, "float32")
        pixels = roi_align(images, boxes, 1, self.crop_size)
        pixels = ops.reshape(pixels, (-1, self.crop_size, self.crop_size, 3))
        return ops.stop_gradient(pixels), ops.reshape(classes, (-1,))

    def _people(self, labels: TensorDict) -> tuple[Tensor, Tensor]:
        boxes = ops.cast(labels["boxes"], "float32")
        classes = ops.cast(labels["classes"], "int32")
        squares, sides = _squares(boxes, self.context)
        wanted = (classes >= 0) & (sides >= self.min_side_px)
        people = ops.concatenate([squares, ops.cast(classes[..., None], "float32")], axis=-1)
        people, chosen = best_boxes(people, ops.where(wanted, sides, 0.0), self.num_people)
        return people[..., :4], ops.where(chosen, ops.cast(people[..., 4], "int32"), -1)

    def _background(self, step: Step) -> tuple[Tensor, Tensor]:
        height, width = step.image_size
        places = []
        for number, (x, y) in enumerate(_CENTRES):
            half = 0.5 * _SIDES[number % len(_SIDES)] * min(height, width)
            x, y = (
                max(half, min(x * width, width - half)),
                max(half, min(y * height, height - half)),
            )
            places.append((x - half, y - half, x + half, y + half))
        places = ops.array(places, "float32")
        taken = ops.cast(step.labels["boxes"], "float32")
        if "ignore_boxes" in step.labels:
            regions = ops.cast(step.labels["ignore_boxes"], "float32")
            taken = ops.concatenate([taken, regions], axis=1)
        places = ops.broadcast_to(places[None], (ops.shape(taken)[0], len(_CENTRES), 4))
        overlap = ops.max(pairwise_iou(places, taken, xp=ops), axis=-1)
        order = ops.arange(len(_CENTRES), 0, -1, dtype="float32")[None]
        free = ops.where(overlap > 0, 0.0, order)
        return best_boxes(places, free, self.num_background)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_people": self.num_people,
            "num_background": self.num_background,
            "crop_size": self.crop_size,
            "context": self.context,
            "min_side_px": self.min_side_px,
        }


class _Backbones:
    """The backbones of both detectors; no Keras object, so that their weights are not tracked."""

    def __init__(self, teacher: Any, student: Any) -> None:
        self.teacher, self.student = _backbone(teacher), _backbone(student)
        self.to_teacher, self.to_student = teacher.rescaled, student.rescaled


def _backbone(detector: Any) -> keras.Model:
    """Build the functional model from images to the maps P3 to P5 of a detector's backbone."""
    backbone = detector.model.backbone
    maps = {
        level: backbone.get_layer(backbone.pyramid_level_inputs[level]).output
        for level in ("P3", "P4", "P5")
    }
    return keras.Model(backbone.inputs[0], maps, name="maps")


def _squares(boxes: Tensor, context: float) -> tuple[Tensor, Tensor]:
    """Compute the square around each box `(batch, n, 4)` and its longer side `(batch, n)`."""
    centres = (boxes[..., :2] + boxes[..., 2:]) / 2
    sides = ops.max(boxes[..., 2:] - boxes[..., :2], axis=-1)
    half = 0.5 * context * sides[..., None]
    return ops.concatenate([centres - half, centres + half], axis=-1), sides
