"""Saves the backbone of a trained classifier as initial weights of a detector."""

import os
import pathlib

import keras

from keras_hkd.atomic_write import replacing
from keras_hkd.errors import InvalidValueError

# Channels of MobileNetV2's last block -> width multiplier.
_ALPHAS = {112: 0.35, 160: 0.5, 240: 0.75, 320: 1.0, 416: 1.3, 448: 1.4}
_LAST_BLOCK = "block_16_project"
_LEFT_OUT_BY_DETECTORS = ("Conv_1", "Conv_1_bn")


def save_backbone(classifier: keras.Model, path: str | os.PathLike) -> None:
    """Save the MobileNetV2 of a classifier in the format of Keras's ImageNet weights.

    `keras_hkd.detectors.build(name, backbone_weights=path)` and
    `keras_hkd.classifiers.build(name, backbone_weights=path)` load it.

    Args:
        classifier: a `Classifier`, or any Keras model, that contains a `keras.applications.
            MobileNetV2` with the layer names of Keras.
        path: path of the `.weights.h5` file, which is written atomically.

    Raises:
        ValueError: if it contains no MobileNetV2, or the path has another suffix.
    """
    path = pathlib.Path(path)
    if not path.name.endswith(".weights.h5"):
        raise InvalidValueError(f"The file must end in .weights.h5. Received: path='{path}'")
    found = {layer.name: layer for layer in classifier._flatten_layers() if layer.weights}
    base = _empty_mobilenet_v2(classifier, found)
    for layer in base.layers:
        if layer.weights and layer.name in found:
            layer.set_weights(found[layer.name].get_weights())
    with replacing(path) as partial:
        base.save_weights(partial)


def _empty_mobilenet_v2(
    classifier: keras.Model, found: dict[str, keras.layers.Layer]
) -> keras.Model:
    last = found.get(_LAST_BLOCK)
    alpha = None if last is None else _ALPHAS.get(last.get_weights()[0].shape[-1])
    base = None
    if alpha is not None:
        base = keras.applications.MobileNetV2(
            input_shape=(None, None, 3), alpha=alpha, include_top=False, weights=None
        )
        wanted = {layer.name for layer in base.layers if layer.weights}
        if wanted - set(found) - set(_LEFT_OUT_BY_DETECTORS):
            base = None
    if base is None:
        raise InvalidValueError(
            f"'{classifier.name}' holds no MobileNetV2 of Keras, so detectors have no place for "
            "its backbone. Take a classifier such as "
            'keras_hkd.classifiers.build("mobilenet_v2_0.35", class_names=...). '
            f"Received: a {type(classifier).__name__}"
        )
    return base
