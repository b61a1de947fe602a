"""KerasCV's RetinaNet behind the Detector contract."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import keras_cv
import numpy
from keras import ops

from keras_hkd.boxes.coding import Deltas
from keras_hkd.boxes.formats import convert
from keras_hkd.boxes.iou import pairwise_iou
from keras_hkd.detectors.detector import Assignment, Detector
from keras_hkd.detectors.families import adapter
from keras_hkd.detectors.new_classes import sources_of, take_weights
from keras_hkd.detectors.open_heads import LevelHeads, SharedTower, can_be_cut
from keras_hkd.errors import InvalidValueError
from keras_hkd.learner import Learner
from keras_hkd.replicas import global_ratio
from keras_hkd.tensors import Tensor

__all__ = ["RetinaNet"]

FOCAL_ALPHA, FOCAL_GAMMA = 0.25, 2.0


@adapter(library_models=("keras_cv.RetinaNet",))
@keras.saving.register_keras_serializable(package="keras_hkd")
class RetinaNet(Detector):
    """Anchor-based detector with focal loss.

    Loss, over anchors that are not ignored, N being the positive anchors of the global batch or 1:

    `class_loss = 1 / N * sum focal(logits, targets; alpha 0.25, gamma 2)`,
    `box_loss = 1 / N * sum_positive smooth_l1(deltas, target deltas)`, the mean of the four deltas,
    as in KerasCV.

    An anchor is positive where its IoU with a person is `positive_iou` or more, background below
    `negative_iou`, ignored between.

    What it mends: N counts the positives of all replicas; an image without people teaches
    background; a custom feature pyramid survives saving; anchors stay float32 under
    `mixed_float16`.

    Args:
        model: a `keras_cv.models.RetinaNet`.
        positive_iou: overlap from which an anchor is positive.
        negative_iou: overlap below which an anchor is background.
        **kwargs: see `Detector`.

    Reference:
        https://arxiv.org/abs/1708.02002.
    """

    def __init__(
        self, model: Any, *, positive_iou: float = 0.5, negative_iou: float = 0.4, **kwargs: Any
    ) -> None:
        if not 0.0 < negative_iou <= positive_iou < 1.0:
            raise InvalidValueError(
                "Expected 0 < negative_iou <= positive_iou < 1. Received: "
                f"negative_iou={negative_iou}, positive_iou={positive_iou}"
            )
        super().__init__(model, **kwargs)
        for generator in getattr(model.anchor_generator, "anchor_generators", {}).values():
            generator.dtype = "float32"  # under `mixed_float16` anchors would be rounded to pixels
        self.positive_iou = float(positive_iou)
        self.negative_iou = float(negative_iou)

    def build_network(self, model: Any) -> keras.Model:
        images = keras.Input(model.feature_extractor.input_shape[1:], name="images")
        maps = model.feature_pyramid(model.feature_extractor(images))
        maps = list(maps.values()) if isinstance(maps, dict) else list(maps)
        heads = (model.classification_head, model.box_head)
        class_head, box_head = (functools.partial(_apply_head, head) for head in heads)
        return self._outputs_per_level(
            images,
            {f"P{index}": features for index, features in enumerate(maps, start=3)},
            class_head,
            box_head,
            _anchors_per_cell(model),
        )

    def _outputs_per_level(
        self,
        images: Tensor,
        maps: Mapping[str, Tensor],
        class_head: Any,
        box_head: Any,
        anchors_per_cell: int,
    ) -> keras.Model:
        """Build the network; each head gives `(last hidden map or None, prediction)` of a level."""
        self.levels = tuple(maps)
        self.anchors_per_cell = anchors_per_cell
        towers, logits, boxes = {}, [], []
        for level, features in maps.items():
            hidden, predicted = class_head(features)
            if hidden is not None:
                towers[level] = hidden
            logits.append(keras.layers.Reshape((-1, self.model.num_classes))(predicted))
            _, predicted = box_head(features)
            boxes.append(keras.layers.Reshape((-1, 4))(predicted))
        return keras.Model(
            images,
            {
                "pyramid": dict(maps),
                "class_tower": towers,
                "class_logits": ops.concatenate(logits, axis=1),
                "box_outputs": ops.concatenate(boxes, axis=1),
            },
            name="network",
        )

    @classmethod
    def options_of(cls, model: Any) -> dict[str, Any]:
        encoder = getattr(model, "label_encoder", None)
        names = {"positive_iou": "positive_threshold", "negative_iou": "negative_threshold"}
        return {
            ours: float(getattr(encoder, theirs))
            for ours, theirs in names.items()
            if hasattr(encoder, theirs)
        }

    @property
    def coding(self) -> Deltas:
        return Deltas(variances=(0.1, 0.1, 0.2, 0.2), order="yxhw")

    @property
    def anchor_sizes(self) -> tuple[tuple[tuple[float, float], ...], ...]:
        generators = self.model.anchor_generator.anchor_generators.values()
        return tuple(_anchor_sizes(one) for one in generators)

    @property
    def clip_anchors(self) -> bool:
        generators = self.model.anchor_generator.anchor_generators.values()
        return bool(next(iter(generators)).clip_boxes)

    def anchors(self, image_size: Sequence[int]) -> Tensor:
        """Return anchors `(anchors, 4)` xyxy pixels."""
        generator = self.model.anchor_generator
        boxes = generator(image_shape=(*image_size, 3))
        boxes = ops.concatenate([ops.convert_to_tensor(level) for level in boxes.values()], axis=0)
        return keras_cv.bounding_box.convert_format(
            boxes,
            source=generator.bounding_box_format,
            target="xyxy",
            image_shape=(*image_size, 3),
        )

    def priors(self, image_size: Sequence[int]) -> Tensor:
        return convert(self.anchors(image_size), "xyxy", "center_xywh", xp=ops)

    def match(
        self, outputs: Mapping[str, Any], labels: dict[str, Tensor], image_size: Sequence[int]
    ) -> Assignment:
        people = ops.cast(labels["boxes"], "float32")
        classes = ops.cast(labels["classes"], "int32")
        anchors = self.anchors(image_size)
        if people.shape[1] == 0:
            mask = ops.zeros_like(outputs["class_logits"][..., 0]) > 0
            boxes = ops.broadcast_to(anchors, (ops.shape(people)[0], *anchors.shape))
            return Assignment(mask, mask, boxes, ops.zeros_like(outputs["class_logits"]))
        overlap = pairwise_iou(anchors, people, xp=ops)
        overlap = ops.where(classes[:, None, :] >= 0, overlap, -1.0)
        best, overlap = ops.argmax(overlap, axis=-1), ops.max(overlap, axis=-1)
        positive = overlap >= self.positive_iou
        target_classes = ops.take_along_axis(classes, best, axis=1)
        target_scores = ops.one_hot(target_classes, self.num_classes, dtype="float32")
        return Assignment(
            positive,
            (overlap >= self.negative_iou) & ops.logical_not(positive),
            ops.take_along_axis(people, best[..., None], axis=1),
            target_scores * ops.cast(positive, "float32")[..., None],
        )

    def losses_of(
        self, outputs: Mapping[str, Any], assignment: Any, image_size: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        positive = ops.cast(assignment.positive, "float32")
        count = ops.sum(positive)
        counted = ops.cast(ops.logical_not(assignment.ignored), "float32")[..., None]
        focal = _focal(outputs["class_logits"], assignment.target_scores)
        targets = ops.where(
            assignment.positive[..., None],
            self.encode_boxes(assignment.target_boxes, image_size),
            0.0,
        )
        distance = ops.mean(_smooth_l1(outputs["box_outputs"] - targets), axis=-1)
        return (
            global_ratio(ops.sum(focal * counted), count, minimum=1.0),
            global_ratio(ops.sum(distance * positive), count, minimum=1.0),
        )

    def open_head(self, key: str) -> SharedTower | LevelHeads | None:
        if self.rewrites:
            return None  # the network has layers of its own, where these heads were taken apart
        head = getattr(self.model, {"class": "classification_head", "box": "box_head"}[key])
        layers = getattr(head, "conv_layers", ())
        if not can_be_cut(layers):
            return None
        return SharedTower(layers, head.prediction_layer, head.compute_dtype)

    def with_classes(self, class_names: Sequence[str]) -> Learner:
        class_names = tuple(class_names)
        head: Any = getattr(self.model, "classification_head", None)
        new_head = hasattr(head, "output_filters") and hasattr(head, "prediction_layer")
        if class_names == self.class_names or self.rewrites or not new_head:
            return super().with_classes(class_names)
        sources, config = sources_of(self, class_names), self.get_config()
        config |= {"class_names": class_names, "class_indices": None}
        config["num_library_classes"] = len(class_names)
        head_config = config["classification_head"]["config"]
        head_config["output_filters"] = self.anchors_per_cell * len(class_names)
        config["classification_head"].pop("build_config", None)
        new = type(self).from_config(config)
        return take_weights(new, self, [head.prediction_layer], sources)

    def get_config(self) -> dict[str, Any]:
        model = self.model
        return {
            **super().get_config(),
            "positive_iou": self.positive_iou,
            "negative_iou": self.negative_iou,
            "num_library_classes": model.num_classes,
            "backbone": keras.saving.serialize_keras_object(model.backbone),
            "feature_pyramid": keras.saving.serialize_keras_object(model.feature_pyramid),
            "classification_head": keras.saving.serialize_keras_object(model.classification_head),
            "box_head": keras.saving.serialize_keras_object(model.box_head),
            "anchors": _anchor_config(model.anchor_generator),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> RetinaNet:
        config = dict(config)
        parts = {
            key: keras.saving.deserialize_keras_object(config.pop(key))
            for key in ("backbone", "feature_pyramid", "classification_head", "box_head")
        }
        model = keras_cv.models.RetinaNet(
            num_classes=config.pop("num_library_classes"),
            bounding_box_format="xyxy",
            anchor_generator=keras_cv.layers.AnchorGenerator(**config.pop("anchors")),
            **parts,
        )
        return cls(model, **config)


def _apply_head(head: Any, features: Tensor) -> tuple[Tensor | None, Tensor]:
    """Return the last hidden map and the prediction of a head; None for that of an unknown head."""
    if not hasattr(head, "conv_layers") or not hasattr(head, "prediction_layer"):
        return None, head(features)
    hidden = features
    for layer in head.conv_layers:
        hidden = layer(hidden)
    return hidden, head.prediction_layer(hidden)


def _anchors_per_cell(model: Any) -> int:
    generators = model.anchor_generator.anchor_generators.values()
    counts = {len(one.scales) * len(one.aspect_ratios) for one in generators}
    if len(counts) != 1:
        raise InvalidValueError(
            "Every pyramid level must have the same number of anchors per cell. "
            f"Received: {sorted(counts)}"
        )
    return counts.pop()


def _anchor_sizes(generator: Any) -> tuple[tuple[float, float], ...]:
    size = float(numpy.ravel(generator.sizes)[0])
    return tuple(
        (float(size * scale * numpy.sqrt(ratio)), float(size * scale / numpy.sqrt(ratio)))
        for scale in generator.scales
        for ratio in generator.aspect_ratios
    )


def _anchor_config(generator: Any) -> dict[str, Any]:
    generators = list(generator.anchor_generators.values())
    return {
        "bounding_box_format": generator.bounding_box_format,
        "sizes": [float(numpy.ravel(one.sizes)[0]) for one in generators],
        "scales": [float(value) for value in generators[0].scales],
        "aspect_ratios": [float(value) for value in generators[0].aspect_ratios],
        "strides": [int(one.stride) for one in generators],
        "clip_boxes": bool(generators[0].clip_boxes),
    }


def _focal(logits: Tensor, targets: Tensor) -> Tensor:
    """Compute the focal loss of each anchor and class from logits, stable for large ones."""
    cross_entropy = ops.relu(logits) - logits * targets + ops.softplus(-ops.abs(logits))
    scores = ops.sigmoid(logits)
    missed = targets * (1.0 - scores) + (1.0 - targets) * scores
    alpha = targets * FOCAL_ALPHA + (1.0 - targets) * (1.0 - FOCAL_ALPHA)
    return alpha * ops.power(missed, FOCAL_GAMMA) * cross_entropy


def _smooth_l1(difference: Tensor) -> Tensor:
    distance = ops.abs(difference)
    return ops.where(distance < 1.0, 0.5 * ops.square(distance), distance - 0.5)
