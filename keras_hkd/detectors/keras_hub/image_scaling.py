"""Images as KerasHub's backbones take them."""

from typing import Any

import keras

from keras_hkd.tensors import Tensor


def prepared(model: Any, images: Tensor) -> Tensor:
    """Convert RGB in [0, 255] to the range that the backbone was trained on.

    KerasHub scales outside of the model, by the image converter of its preprocessor. Its scale and
    offset are applied here; of a model without a preprocessor the backbone sees [0, 255].

    Args:
        model: a keras_hub object detector.
        images: symbolic tensor `(batch, height, width, 3)`.
    """
    converter = getattr(getattr(model, "preprocessor", None), "image_converter", None)
    scale, offset = getattr(converter, "scale", None), getattr(converter, "offset", None)
    if scale is None and offset is None:
        return images
    scale = 1.0 if scale is None else scale
    offset = 0.0 if offset is None else offset
    return keras.layers.Rescaling(scale, offset, name="image_converter")(images)
