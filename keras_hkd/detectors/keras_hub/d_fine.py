"""KerasHub's DFineObjectDetector behind the Detector contract, as a teacher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_hkd.boxes.formats import convert
from keras_hkd.detectors.detector import Assignment, Detector
from keras_hkd.detectors.families import adapter
from keras_hkd.detectors.keras_hub.image_scaling import prepared
from keras_hkd.errors import InvalidValueError
from keras_hkd.tensors import Tensor

__all__ = ["HubDFine"]


@adapter(library_models=("keras_hub.DFineObjectDetector",))
@keras.saving.register_keras_serializable(package="keras_hkd")
class HubDFine(Detector):
    """A `keras_hub.models.DFineObjectDetector` as teacher: a set of boxes, no grid and no anchors.

    What it predicts is matched to the student's anchors, for class logits and boxes; it has no maps
    that stand for pyramid levels here, and does not learn: D-FINE's own loss assigns labels to
    queries, which nothing else in this package has.

    Args:
        model: the library's detector.
        image_size: `(height, width)`; the backbone's own by default, which most have. Give a
            Distiller `teacher_image_size` where the student's is another.
        **kwargs: see `Detector`.

    Reference:
        https://arxiv.org/abs/2410.13842.
    """

    learns = False

    def __init__(
        self, model: Any, *, image_size: Sequence[int] | None = None, **kwargs: Any
    ) -> None:
        own = tuple(model.backbone.image_shape[:2])
        if image_size is None and None not in own:
            image_size = own
        super().__init__(model, image_size=image_size, **kwargs)

    def build_network(self, model: Any) -> keras.Model:
        images = keras.Input(model.backbone.image_shape, name="images")
        found = model(prepared(model, images))
        return keras.Model(
            images,
            {
                "pyramid": {},
                "class_tower": {},
                "class_logits": found["logits"],
                "box_outputs": found["pred_boxes"],
            },
            name="network",
        )

    def check_image_size(self, image_size: Any) -> tuple[int, int]:
        self._check_fixed(image_size)
        return super().check_image_size(image_size)

    def call(self, images: Tensor, training: bool | None = False) -> Any:
        self._check_fixed(images.shape[1:3])
        return super().call(images, training=False)

    def _check_fixed(self, image_size: Sequence[int]) -> None:
        wanted = tuple(self.model.backbone.image_shape[:2])
        if None not in wanted and tuple(image_size) != wanted:
            raise InvalidValueError(
                f"This D-FINE sees images of {wanted} only. Received: {tuple(image_size)}. "
                f"Under a Distiller give teacher_image_size={wanted}."
            )

    def decode_boxes(self, box_outputs: Tensor, image_size: Sequence[int]) -> Tensor:
        height, width = image_size
        pixels = box_outputs * ops.array([width, height, width, height], "float32")
        return convert(pixels, "center_xywh", "xyxy", xp=ops)

    def match(
        self, outputs: Mapping[str, Any], labels: dict[str, Tensor], image_size: Sequence[int]
    ) -> Assignment:
        raise InvalidValueError(
            "A D-FINE detector can teach and detect; it cannot be trained here."
        )

    def get_config(self) -> dict[str, Any]:
        model = keras.saving.serialize_keras_object(self.model)
        return {**super().get_config(), "model": model}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> HubDFine:
        config = dict(config)
        return cls(keras.saving.deserialize_keras_object(config.pop("model")), **config)
