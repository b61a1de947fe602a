"""KerasCV's YOLOV8Detector behind the Detector contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import keras_cv
from keras import ops

from keras_hkd.boxes.coding import DistanceBins
from keras_hkd.detectors.detector import Assignment, Detector
from keras_hkd.detectors.families import adapter
from keras_hkd.detectors.new_classes import sources_of, take_weights
from keras_hkd.detectors.open_heads import LevelHeads, SharedTower, level_heads
from keras_hkd.learner import Learner
from keras_hkd.replicas import global_ratio
from keras_hkd.tensors import Tensor

__all__ = ["YOLOV8"]


@adapter(library_models=("keras_cv.YOLOV8Detector",))
@keras.saving.register_keras_serializable(package="keras_hkd")
class YOLOV8(Detector):
    """Anchor-free detector with a distribution over 16 bins for each side of a box.

    Loss, with targets of task-aligned assignment and `N = max(1, sum of target scores)` over the
    global batch:

    `class_loss = 0.5 / N * sum BCE(logits, target scores)`,
    `box_loss = 7.5 / N * sum_positive target_score * (1 - CIoU)`.

    What it mends: logits leave the model (the library returns scores); the class head starts from a
    prior probability of 0.01; the loss is computed in float32, so `mixed_float16` trains; N counts
    the people of all replicas; an image without people teaches background.

    Args:
        model: a `keras_cv.models.YOLOV8Detector`.
        box_loss_weight: weight of the box loss.
        class_loss_weight: weight of the class loss.
        **kwargs: see `Detector`.

    Reference:
        the task-aligned assignment is that of TOOD, https://arxiv.org/abs/2108.07755.
    """

    levels = ("P3", "P4", "P5")
    coding = DistanceBins(16)

    def __init__(
        self,
        model: Any,
        *,
        box_loss_weight: float = 7.5,
        class_loss_weight: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(model, **kwargs)
        self.box_loss_weight = float(box_loss_weight)
        self.class_loss_weight = float(class_loss_weight)
        self._assigner = keras_cv.models.yolov8.LabelEncoder(num_classes=self.num_classes)
        _start_from_prior(model)

    def build_network(self, model: Any) -> keras.Model:
        pyramid, tower, logits, boxes = {}, {}, [], []
        for index, level in enumerate(self.levels, start=1):
            head = f"yolo_v8_head_{index}"
            pyramid[level] = _source(model, f"{head}_class_1_conv", f"{head}_class_1_pad")
            predictor = model.get_layer(f"{head}_class_3_conv")
            tower[level] = predictor.input
            logits.append(_flat(predictor.output))
            boxes.append(_flat(model.get_layer(f"{head}_box_3_conv").output))
        return keras.Model(
            model.inputs[0],
            {
                "pyramid": pyramid,
                "class_tower": tower,
                "class_logits": ops.concatenate(logits, axis=1),
                "box_outputs": ops.concatenate(boxes, axis=1),
            },
            name="network",
        )

    def match(
        self, outputs: Mapping[str, Any], labels: dict[str, Tensor], image_size: Sequence[int]
    ) -> Assignment:
        boxes, scores = self.decode(outputs, image_size)
        people = ops.cast(labels["boxes"], "float32")
        classes = ops.cast(labels["classes"], "float32")
        present = ops.expand_dims(classes >= 0, axis=-1)
        if people.shape[1] == 0:
            nobody = ops.zeros_like(scores)
            mask = ops.zeros_like(scores[..., 0]) > 0
            return Assignment(mask, mask, ops.zeros_like(boxes), nobody)
        target_boxes, target_scores, _ = self._assigner.assign(
            ops.stop_gradient(scores),
            ops.stop_gradient(boxes),
            self.anchor_points(image_size),
            classes,
            people,
            present,
        )
        positive = ops.max(target_scores, axis=-1) > 0
        return Assignment(positive, ops.zeros_like(positive), target_boxes, target_scores)

    def losses_of(
        self, outputs: Mapping[str, Any], assignment: Any, image_size: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        boxes = self.decode_boxes(outputs["box_outputs"], image_size)
        targets = assignment.target_scores
        count = ops.sum(targets)
        logits = outputs["class_logits"]
        cross_entropy = ops.relu(logits) - logits * targets + ops.softplus(-ops.abs(logits))
        counted = ops.cast(ops.logical_not(assignment.ignored), "float32")[..., None]
        strides = self.anchor_strides(image_size)
        overlap = keras_cv.bounding_box.compute_ciou(
            boxes / strides, assignment.target_boxes / strides, bounding_box_format="xyxy"
        )
        weight = ops.sum(targets, axis=-1) * ops.cast(assignment.positive, "float32")
        return (
            self.class_loss_weight
            * global_ratio(ops.sum(cross_entropy * counted), count, minimum=1.0),
            self.box_loss_weight
            * global_ratio(ops.sum((1.0 - overlap) * weight), count, minimum=1.0),
        )

    def open_head(self, key: str) -> SharedTower | LevelHeads | None:
        prefixes = {
            level: f"yolo_v8_head_{number}_{key}" for number, level in enumerate(self.levels, 1)
        }
        return level_heads(
            self,
            {level: f"{prefix}_1_bn" for level, prefix in prefixes.items()},
            {level: f"{prefix}_3_conv" for level, prefix in prefixes.items()},
        )

    def with_classes(self, class_names: Sequence[str]) -> Learner:
        class_names = tuple(class_names)
        if class_names == self.class_names or self.rewrites:
            return super().with_classes(class_names)
        sources, config = sources_of(self, class_names), self.get_config()
        config |= {"class_names": class_names, "class_indices": None}
        new = type(self).from_config({**config, "num_library_classes": len(class_names)})
        names = [f"yolo_v8_head_{number}_class_3_conv" for number in (1, 2, 3)]
        return take_weights(new, self, [self.model.get_layer(name) for name in names], sources)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.model.backbone),
            "num_library_classes": self.model.num_classes,
            "fpn_depth": self.model.fpn_depth,
            "box_loss_weight": self.box_loss_weight,
            "class_loss_weight": self.class_loss_weight,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> YOLOV8:
        config = dict(config)
        model = keras_cv.models.YOLOV8Detector(
            backbone=keras.saving.deserialize_keras_object(config.pop("backbone")),
            num_classes=config.pop("num_library_classes"),
            bounding_box_format="xyxy",
            fpn_depth=config.pop("fpn_depth"),
        )
        return cls(model, **config)


def _flat(tensor: Tensor) -> Tensor:
    return keras.layers.Reshape((-1, tensor.shape[-1]))(tensor)


def _source(model: Any, layer_name: str, padding_name: str) -> Tensor:
    """Return the pyramid map that a head reads, before the head's own zero padding."""
    names = {layer.name for layer in model.layers}
    return model.get_layer(padding_name if padding_name in names else layer_name).input


def _start_from_prior(model: Any, probability: float = 0.01) -> None:
    """Set the bias of an untrained class head (exactly 0) to its prior probability.

    Without it every anchor says 0.5 at the start, and epochs pass in learning that most of an
    image is background.
    """
    layers = [model.get_layer(f"yolo_v8_head_{index}_class_3_conv") for index in (1, 2, 3)]
    if all(float(ops.max(ops.abs(layer.bias))) == 0.0 for layer in layers):
        for layer in layers:
            value = float(ops.log(probability / (1.0 - probability)))
            layer.bias.assign(ops.full(layer.bias.shape, value, dtype=layer.bias.dtype))
