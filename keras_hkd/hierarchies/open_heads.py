"""Prediction heads cut in two: what runs before the last convolution but one, and the rest.

Two kinds of heads can be cut. RetinaNet's are towers that all levels share; YOLOV8's are three
convolutions for each level, the first two with a norm and an activation.
"""

import keras
from keras import ops

TOWERS = {"class": "classification_head", "box": "box_head"}


def open_head(detector, key):
    """The `class` or `box` head of a detector, cut in two; None for heads that cannot be cut.

    Args:
        detector: a `Detector`.
        key: `"class"` or `"box"`.
    """
    model = getattr(detector, "model", None)
    layers = getattr(getattr(model, TOWERS[key], None), "conv_layers", ())
    if len(layers) >= 2 and _activated(layers[-2]):
        return SharedTower(detector, key)
    names = {layer.name for layer in getattr(model, "layers", ())}
    if all(f"yolo_v8_head_{i}_{key}_1_bn" in names for i in range(1, len(detector.levels) + 1)):
        return LevelHeads(detector, key)
    return None


def _activated(layer):
    return getattr(layer, "activation", None) not in (None, keras.activations.linear)


class SharedTower:
    """The head of a RetinaNet.

    Args:
        detector: a `RetinaNet`.
        key: `"class"` or `"box"`.
    """

    shared = True

    def __init__(self, detector, key):
        self.head = getattr(detector.model, TOWERS[key])
        self.width = self.head.conv_layers[-2].filters

    def watch(self):
        """Nothing: the first layers are run once more."""

    def before(self, outputs, level):
        """Features after the last convolution but one, before its activation."""
        features = outputs["pyramid"][level]
        for layer in self.head.conv_layers[:-2]:
            features = layer(features)
        layer = self.head.conv_layers[-2]
        activation, layer.activation = layer.activation, keras.activations.linear
        try:
            return layer(features)
        finally:
            layer.activation = activation

    def after(self, features, level):
        """The rest of the head: its prediction `(batch, h, w, values)`."""
        head = self.head
        hidden = head.conv_layers[-2].activation(ops.cast(features, head.compute_dtype))
        return head.prediction_layer(head.conv_layers[-1](hidden))


class LevelHeads:
    """The heads of a YOLOV8, one for each level.

    Args:
        detector: a `YOLOV8`.
        key: `"class"` or `"box"`.
    """

    shared = False

    def __init__(self, detector, key):
        self.detector = detector
        self.prefixes = {
            level: f"yolo_v8_head_{number}_{key}"
            for number, level in enumerate(detector.levels, start=1)
        }
        self.width = detector.model.get_layer(f"{self.prefixes[detector.levels[0]]}_1_conv").filters

    def watch(self):
        """The maps are read in the one forward pass: its norms must not count a batch twice."""
        for prefix in self.prefixes.values():
            self.detector.tap(f"{prefix}_1_bn")

    def before(self, outputs, level):
        """Features after the first convolution and its norm, before their activation."""
        return outputs["taps"][f"{self.prefixes[level]}_1_bn"]

    def after(self, features, level):
        """The rest of the head: its prediction `(batch, h, w, values)`."""
        prefix, get = self.prefixes[level], self.detector.model.get_layer
        hidden = get(f"{prefix}_1")(features)
        hidden = get(f"{prefix}_2_conv")(get(f"{prefix}_2_pad")(hidden))
        hidden = get(f"{prefix}_2")(get(f"{prefix}_2_bn")(hidden, training=False))
        return get(f"{prefix}_3_conv")(hidden)
