"""KerasHub's RetinaNetObjectDetector behind the Detector contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_hkd.boxes.coding import Deltas
from keras_hkd.detectors.detector import Detector
from keras_hkd.detectors.families import adapter
from keras_hkd.detectors.keras_cv.retinanet import RetinaNet
from keras_hkd.detectors.keras_hub.image_scaling import prepared
from keras_hkd.tensors import Tensor

__all__ = ["HubRetinaNet"]


@adapter(library_models=("keras_hub.RetinaNetObjectDetector",))
@keras.saving.register_keras_serializable(package="keras_hkd")
class HubRetinaNet(RetinaNet):
    """A `keras_hub.models.RetinaNetObjectDetector` as teacher or student.

    Losses and assignment are those of `RetinaNet`. What differs from KerasCV: anchors and the
    encoding of boxes (x, y, width, height, without variance), and images are scaled outside of the
    model, see `keras_hkd.detectors.keras_hub.image_scaling`.

    Args:
        model: the library's detector.
        **kwargs: see `RetinaNet`.
    """

    cell_offset = 0.0
    clip_anchors = False

    def build_network(self, model: Any) -> keras.Model:
        images = keras.Input(model.backbone.image_shape, name="images")
        maps = model.backbone(prepared(model, images))
        class_head, box_head = _OpenHead(model.classification_head), _OpenHead(model.box_head)
        return self._outputs_per_level(
            images,
            maps,
            class_head,
            box_head,
            int(model.anchor_generator.num_base_anchors),
        )

    @property
    def coding(self) -> Deltas:
        encoder = getattr(self.model, "label_encoder", None)
        return Deltas(tuple(getattr(encoder, "box_variance", (1.0, 1.0, 1.0, 1.0))), "xywh")

    @property
    def anchor_sizes(self) -> tuple[tuple[tuple[float, float], ...], ...]:
        generator = self.model.anchor_generator
        return tuple(_anchor_sizes(generator, int(level[1:])) for level in self.levels)

    def anchors(self, image_size: Sequence[int]) -> Tensor:
        generator = self.model.anchor_generator
        height, width = image_size
        boxes = generator(ops.zeros((1, height, width, 1)))
        boxes = ops.concatenate([ops.convert_to_tensor(level) for level in boxes.values()], axis=0)
        return keras.utils.bounding_boxes.convert_format(
            boxes, generator.bounding_box_format, "xyxy", height=height, width=width
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **Detector.get_config(self),
            "positive_iou": self.positive_iou,
            "negative_iou": self.negative_iou,
            "model": keras.saving.serialize_keras_object(self.model),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> HubRetinaNet:
        config = dict(config)
        return cls(keras.saving.deserialize_keras_object(config.pop("model")), **config)


def _anchor_sizes(generator: Any, level: Any) -> tuple[tuple[float, float], ...]:
    """Compute `(width, height)` of the anchors of a level, rounded as in the library."""
    sizes = [
        int(2**level * generator.anchor_size * 2 ** (scale / generator.num_scales))
        for scale in range(generator.num_scales)
    ]
    roots = np.sqrt(np.array(generator.aspect_ratios, "float32"))
    sides = [(size / root, size * root) for root in roots for size in np.array(sizes, "float32")]
    even = [[2.0 * float(np.round(side / 2)) for side in pair] for pair in sides]
    return tuple((width, height) for width, height in even)


class _OpenHead(keras.layers.Layer):
    """A head that gives its last hidden map beside its prediction.

    Its layers are called in here: those of both heads have the same names, which a functional model
    does not take.

    Args:
        head: the library's `PredictionHead`.
    """

    def __init__(self, head: Any, **kwargs: Any) -> None:
        super().__init__(name=f"open_{head.name}", dtype=head.dtype_policy, **kwargs)
        self.head = head
        self.built = True

    def call(self, features: Tensor) -> Any:
        head, hidden = self.head, features
        for index, layer in enumerate(head.conv_layers):
            hidden = layer(hidden)
            if head.use_group_norm:
                hidden = head.group_norm_layers[index](hidden)
            hidden = head.activation(hidden)
        return hidden, head.prediction_layer(hidden)
