"""Prediction heads cut in two: what runs before the last convolution but one, and the rest.

What `Detector.open_head` gives. Two kinds of heads can be cut: towers that all levels share, and
heads of which each level has its own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
from keras import ops

from keras_hkd.errors import InvalidValueError
from keras_hkd.tensors import Tensor


class SharedTower:
    """A head that all levels share: convolutions with their activations inside, and a predictor.

    Args:
        conv_layers: the convolutions in order, at least two.
        prediction_layer: what predicts from the last hidden map.
        compute_dtype: computation type of the head.

    Raises:
        ValueError: too few convolutions, or no activation inside the last but one.
    """

    shared = True

    def __init__(
        self,
        conv_layers: Sequence[keras.layers.Layer],
        prediction_layer: keras.layers.Layer,
        compute_dtype: str = "float32",
    ) -> None:
        if not can_be_cut(conv_layers):
            raise InvalidValueError(
                "Expected at least two convolutions with their activations inside. Received: "
                f"conv_layers={list(conv_layers)}"
            )
        self.conv_layers = conv_layers
        self.prediction_layer = prediction_layer
        self.compute_dtype = compute_dtype
        self.width = conv_layers[-2].filters

    def watch(self) -> None:
        """Do nothing: the first layers are run again."""

    def before(self, outputs: dict, level: str) -> Tensor:
        """Return the features after the last convolution but one, before its activation.

        Args:
            outputs: what the detector gave.
            level: such as `"P3"`.
        """
        features = outputs["pyramid"][level]
        for layer in self.conv_layers[:-2]:
            features = layer(features)
        layer = self.conv_layers[-2]
        activation, layer.activation = layer.activation, keras.activations.linear
        try:
            return layer(features)
        finally:
            layer.activation = activation

    def after(self, features: Tensor, level: str) -> Tensor:
        """Run the rest of the head; returns its prediction `(batch, h, w, values)`.

        Args:
            features: what `before` gives, or features like it.
            level: such as `"P3"`.
        """
        hidden = self.conv_layers[-2].activation(ops.cast(features, self.compute_dtype))
        return self.prediction_layer(self.conv_layers[-1](hidden))


class LevelHeads:
    """Heads of which each level has its own.

    Args:
        detector: whose heads they are.
        cuts: level -> name of the layer whose output is the hidden map before its activation.
        rests: level -> function from such a map to the prediction `(batch, h, w, values)`; layers
            that normalise run with their moving statistics.
        width: channels of the hidden maps.
    """

    shared = False

    def __init__(
        self,
        detector: Any,
        cuts: Mapping[str, str],
        rests: Mapping[str, Callable],
        width: int,
    ) -> None:
        self.detector = detector
        self.cuts = dict(cuts)
        self.rests = dict(rests)
        self.width = width

    def watch(self) -> None:
        """Read the maps in the same forward pass, so that norms see a batch once."""
        for name in self.cuts.values():
            self.detector.tap(name)

    def before(self, outputs: dict, level: str) -> Tensor:
        """Return the features before the activation at the cut.

        Args:
            outputs: what the detector gave.
            level: such as `"P3"`.
        """
        return outputs["taps"][self.cuts[level]]

    def after(self, features: Tensor, level: str) -> Tensor:
        """Run the rest of the head; returns its prediction `(batch, h, w, values)`.

        Args:
            features: what `before` gives, or features like it.
            level: such as `"P3"`.
        """
        return self.rests[level](features)


def level_heads(
    detector: Any, cuts: Mapping[str, str], predictors: Mapping[str, str]
) -> LevelHeads | None:
    """Cut heads by the names of layers of the detector's network.

    Args:
        detector: whose heads they are.
        cuts: level -> name of the layer whose output is the hidden map before its activation.
        predictors: level -> name of the layer that predicts.

    Returns:
        A `LevelHeads`; None where the network has no such layers, as one that rounds.
    """
    layers = {layer.name: layer for layer in detector.network.layers}
    if not {*cuts.values(), *predictors.values()} <= set(layers):
        return None
    rests = {
        level: functools.partial(
            keras.Model(layers[cut].output, layers[predictors[level]].output), training=False
        )
        for level, cut in cuts.items()
    }
    width = layers[next(iter(cuts.values()))].output.shape[-1]
    return LevelHeads(detector, cuts, rests, width)


def can_be_cut(conv_layers: Sequence[keras.layers.Layer]) -> bool:
    """Tell whether convolutions can be a `SharedTower`.

    Args:
        conv_layers: the convolutions, from the first to the last.
    """
    if len(conv_layers) < 2:
        return False
    return getattr(conv_layers[-2], "activation", None) not in (None, keras.activations.linear)
