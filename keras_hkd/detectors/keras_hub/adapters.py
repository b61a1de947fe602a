"""KerasHub's detectors behind the Detector contract; keras_hub is an extra, `[hub]`."""

import keras


def family(model):
    """The adapter of a keras_hub object detector, or None for another model.

    Args:
        model: anything; keras_hub is loaded where it comes from there.
    """
    from keras_hkd.detectors.keras_hub.d_fine import HubDFine
    from keras_hkd.detectors.keras_hub.retinanet import HubRetinaNet

    adapters = {"RetinaNetObjectDetector": HubRetinaNet, "DFineObjectDetector": HubDFine}
    for base in type(model).__mro__:
        if base.__name__ in adapters:
            return adapters[base.__name__]
    return None


def prepared(model, images):
    """Images as the backbone was trained on, from RGB in [0, 255].

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
