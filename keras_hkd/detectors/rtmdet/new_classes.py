"""RTMDet for other classes: new predictors of class logits on the features that it has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from keras_hkd.detectors.rtmdet.network import PRIOR_BIAS
from keras_hkd.errors import InvalidTypeError


def network_for_classes(network: keras.Model, sources: Sequence[int | None]) -> keras.Model:
    """Build a network with other class predictors and otherwise the same weights.

    Args:
        network: network of an `RTMDet`, also with fewer channels.
        sources: for each new class the index of the old class whose predictor it takes, or None
            for one that begins at zero with the prior: each point scores 0.01.

    Returns:
        A functional model on layers of its own.

    Raises:
        TypeError: the class logits do not come from convolutions, as in a quantised network.

    Example:

    >>> from keras_hkd.detectors.rtmdet.config import RTMDetConfig
    >>> from keras_hkd.detectors.rtmdet.network import rtmdet_network
    >>> network = rtmdet_network(RTMDetConfig(width=0.125, num_classes=1))
    >>> network_for_classes(network, [None, 0]).output["class_logits"].shape
    (None, None, 2)
    """
    flattenings, predictors = _class_head(network)
    config = network.get_config()
    for layer in config["layers"]:
        if layer["config"]["name"] in predictors:
            layer["config"]["filters"] = len(sources)
        elif layer["config"]["name"] in flattenings:
            layer["config"]["target_shape"] = (-1, len(sources))
    new = type(network).from_config(config)
    for layer in network.layers:
        weights = layer.get_weights()
        if layer.name in predictors:
            kernel, bias = weights
            weights = _predictor(kernel, bias, sources)
        new.get_layer(layer.name).set_weights(weights)
    return new


def _class_head(network: keras.Model) -> tuple[set[str], set[str]]:
    """Name the layers that flatten class logits, and those that predict them."""
    joined, maps = _made_by(network.output["class_logits"])
    made = [_made_by(tensor) for tensor in maps]
    predictors = [_made_by(tensor)[0] for _, inputs in made for tensor in inputs]
    flattenings = [layer for layer, _ in made]
    found = [joined, *flattenings, *predictors]
    expected = [layers.Concatenate] + [layers.Reshape] * len(maps) + [layers.Conv2D] * len(maps)
    if [type(layer) for layer in found] != expected:
        raise InvalidTypeError(
            "Only a float RTMDet can learn other classes: its class logits must be those of one "
            "convolution a level, joined. Received: "
            f"{', '.join(sorted({type(layer).__name__ for layer in found}))}; give the detector "
            "its classes before quantising it."
        )
    return {layer.name for layer in flattenings}, {layer.name for layer in predictors}


def _made_by(tensor: Any) -> tuple[Any, Any]:
    """Return the operation that made a symbolic tensor, and its inputs."""
    history = tensor._keras_history
    return history.operation, history.operation._inbound_nodes[history.node_index].input_tensors


def _predictor(kernel: Any, bias: Any, sources: Any) -> list[np.ndarray]:
    new_kernel = np.zeros((*kernel.shape[:-1], len(sources)), kernel.dtype)
    new_bias = np.full(len(sources), PRIOR_BIAS, bias.dtype)
    for index, source in enumerate(sources):
        if source is not None:
            new_kernel[..., index], new_bias[index] = kernel[..., source], bias[source]
    return [new_kernel, new_bias]
