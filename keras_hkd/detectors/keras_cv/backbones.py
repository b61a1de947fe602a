"""Backbones with named pyramid levels, KerasCV's or any functional model, never downloaded."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import keras_cv

from keras_hkd.errors import InvalidValueError
from keras_hkd.mobilenet_v2 import mobilenet_v2_base
from keras_hkd.tensors import Tensor

__all__ = ["Backbone"]

LEVELS = ("P3", "P4", "P5")


@keras.saving.register_keras_serializable(package="keras_hkd")
class Backbone(keras_cv.models.Backbone):
    """Any functional Keras model as the backbone of a KerasCV detector.

    KerasCV finds the maps of a backbone through `pyramid_level_inputs`, which only its own classes
    have. This class gives it to every functional model, and keeps it when the model is saved.

    Args:
        network: functional model from images to anything.
        pyramid_level_inputs: `{"P3": layer name, "P4": ..., "P5": ...}`, layers of strides 8, 16
            and 32.

    Raises:
        ValueError: a level or a layer is missing.

    Example:

    >>> mobilenet = keras.applications.MobileNetV2((64, 64, 3), 0.35, include_top=False,
    ...                                            weights=None)
    >>> backbone = Backbone(mobilenet, {"P3": "block_5_add", "P4": "block_12_add",
    ...                                 "P5": "block_16_project_BN"})
    >>> sorted(backbone.pyramid_level_inputs)
    ['P3', 'P4', 'P5']
    """

    def __init__(
        self, network: keras.Model, pyramid_level_inputs: Mapping[str, str], **kwargs: Any
    ) -> None:
        missing = [level for level in LEVELS if level not in pyramid_level_inputs]
        if missing:
            raise InvalidValueError(
                f"`pyramid_level_inputs` must name a layer for each of {LEVELS}. "
                f"Missing: {missing}. Received: {pyramid_level_inputs}"
            )
        names = {layer.name for layer in network.layers}
        unknown = {k: v for k, v in pyramid_level_inputs.items() if v not in names}
        if unknown:
            raise InvalidValueError(
                f"`levels` must name layers of the model '{network.name}'; look at "
                "`[layer.name for layer in network.layers]`. "
                f"Received: {sorted(unknown.values())}"
            )
        super().__init__(inputs=network.inputs[0], outputs=network.outputs, **kwargs)
        self.pyramid_level_inputs = dict(pyramid_level_inputs)
        self._network_config = keras.saving.serialize_keras_object(network)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "network": self._network_config,
            "pyramid_level_inputs": dict(self.pyramid_level_inputs),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Backbone:
        config = dict(config)
        if isinstance(config["network"], dict):
            config["network"] = keras.saving.deserialize_keras_object(config["network"])
        return cls(**config)


def mobilenet_v2(
    alpha: float,
    widths: Sequence[int],
    weights: str | os.PathLike | None = None,
    activation: str = "swish",
) -> Backbone:
    """Build MobileNetV2 with a 1x1 convolution to a chosen width at each pyramid level.

    The ImageNet files of Keras fit (`include_top=False`); the last 1280-channel convolution is left
    out, being half of a small network.

    Args:
        alpha: width multiplier: 0.35, 0.5, 0.75, 1.0, 1.3 or 1.4.
        widths: channels of P3, P4 and P5.
        weights: path of a `.weights.h5` or `.h5` file, or None for random weights.
        activation: activation function of the 1x1 convolutions.

    Returns:
        A `Backbone` that takes RGB in [0, 255].
    """
    base = mobilenet_v2_base(alpha, weights)
    images = keras.Input((None, None, 3), name="images")
    features = keras.Model(
        base.inputs[0],
        [
            base.get_layer(name).output
            for name in ("block_6_expand_relu", "block_13_expand_relu", "block_16_project_BN")
        ],
        name=base.name,
    )(keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(images))
    outputs = [
        _convolution(x, width, 1, 1, activation, name=f"lateral_{level.lower()}")
        for level, width, x in zip(LEVELS, widths, features, strict=True)
    ]
    return Backbone(
        keras.Model(images, outputs, name=f"mobilenet_v2_{alpha}_pyramid"),
        {level: f"lateral_{level.lower()}" for level in LEVELS},
        name=f"backbone_mobilenet_v2_{alpha}",
    )


def micro(widths: Sequence[int] = (16, 24, 32, 48, 64), depth: int = 1) -> Backbone:
    """Build a small backbone of strided separable residual stages.

    Args:
        widths: channels at strides 2, 4, 8, 16 and 32.
        depth: residual blocks in each stage from stride 4 on.

    Returns:
        A `Backbone` that takes RGB in [0, 255].
    """
    images = keras.Input((None, None, 3), name="images")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(images)
    x = _convolution(x, widths[0], 3, 2, "swish", name="stem")
    for stage, width in enumerate(widths[1:], start=2):
        x = _separable(x, width, 2, name=f"stage{stage}_down")
        for block in range(depth):
            y = _separable(x, width, 1, name=f"stage{stage}_block{block + 1}")
            x = keras.layers.Add(name=f"stage{stage}_block{block + 1}_add")([x, y])
    layers = {f"P{stage}": f"stage{stage}_block{depth}_add" for stage in (3, 4, 5)}
    return Backbone(keras.Model(images, x, name="micro"), layers, name="backbone_micro")


def resnet50() -> Any:
    """Build ResNet-50 from KerasCV's generic class, which downloads nothing.

    Returns:
        A KerasCV backbone that takes RGB in [0, 255].
    """
    return keras_cv.models.ResNetBackbone(
        stackwise_filters=[64, 128, 256, 512],
        stackwise_blocks=[3, 4, 6, 3],
        stackwise_strides=[1, 2, 2, 2],
        include_rescaling=True,
        input_shape=(None, None, 3),
    )


def resnet18(width: Any = 1.0) -> Backbone:
    """Build ResNet-18 of any width, with 11.2 M parameters at 1.0 and 2.8 M at 0.5.

    KerasCV's own basic blocks are fixed to a first stage of 64 channels, so a half-width network
    cannot be had from it.

    Args:
        width: multiplier of the channels 64, 128, 256, 512.

    Returns:
        A `Backbone` that takes RGB in [0, 255].
    """
    filters = [int(channels * width) for channels in (64, 128, 256, 512)]
    images = keras.Input((None, None, 3), name="images")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(images)
    x = _convolution(x, filters[0], 7, 2, "relu", name="stem")
    x = keras.layers.MaxPooling2D(3, strides=2, padding="same", name="stem_pool")(x)
    for stage, channels in enumerate(filters, start=2):
        for block in (1, 2):
            strides = 2 if block == 1 and stage > 2 else 1
            x = _basic_block(x, channels, strides, name=f"stage{stage}_block{block}")
    layers = {f"P{stage}": f"stage{stage}_block2" for stage in (3, 4, 5)}
    network = keras.Model(images, x, name=f"resnet18_{width}")
    return Backbone(network, layers, name=f"backbone_resnet18_{width}")


def _basic_block(x: Tensor, channels: int, strides: int, name: str) -> Tensor:
    shortcut = x
    if strides > 1:
        shortcut = _convolution(x, channels, 1, strides, "linear", name=f"{name}_shortcut")
    x = _convolution(x, channels, 3, strides, "relu", name=f"{name}_1")
    x = _convolution(x, channels, 3, 1, "linear", name=f"{name}_2")
    x = keras.layers.Add(name=f"{name}_add")([shortcut, x])
    return keras.layers.Activation("relu", name=name)(x)


def _convolution(
    x: Tensor, width: int, kernel: int, strides: int, activation: str | None, name: str
) -> Tensor:
    x = keras.layers.Conv2D(
        width, kernel, strides=strides, padding="same", use_bias=False, name=f"{name}_conv"
    )(x)
    x = keras.layers.BatchNormalization(momentum=0.97, epsilon=1e-3, name=f"{name}_bn")(x)
    return keras.layers.Activation(activation, name=name)(x)


def _separable(x: Tensor, width: int, strides: int, name: str) -> Tensor:
    x = keras.layers.DepthwiseConv2D(
        3, strides=strides, padding="same", use_bias=False, name=f"{name}_depthwise"
    )(x)
    x = keras.layers.BatchNormalization(momentum=0.97, epsilon=1e-3, name=f"{name}_depthwise_bn")(x)
    return _convolution(x, width, 1, 1, "swish", name=name)
