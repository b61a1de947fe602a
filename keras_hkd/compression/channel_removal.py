"""Rebuilds a network without some of its channels."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops
from keras.src.ops import numpy as numpy_ops

from keras_hkd.classifiers.network import BeforeActivation
from keras_hkd.compression.channel_groups import ChannelGroups
from keras_hkd.compression.flat_graph import Call, LayerNames, call_again, unsupported


@keras.saving.register_keras_serializable(package="keras_hkd")
class ChannelRemoval:
    """The rewrite of a network that `prune_channels` makes.

    Args:
        removed: the groups to remove, by their numbers in `ChannelGroups`.
    """

    def __init__(self, removed: Any) -> None:
        self.removed = tuple(int(group) for group in removed)

    def __call__(self, network: keras.Model) -> keras.Model:
        return network_without(ChannelGroups(network), self.removed)

    def get_config(self) -> dict[str, Any]:
        return {"removed": list(self.removed)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ChannelRemoval:
        return cls(**config)


def network_without(groups: ChannelGroups, removed: Any) -> keras.Model:
    """Rebuild a network without some groups of channels, on new layers.

    Args:
        groups: `ChannelGroups` of the network.
        removed: numbers of groups.

    Returns:
        A functional model with the same structure of outputs and the remaining weights.

    Raises:
        UnsupportedLayerError: a layer with weights that cannot be cut; names it.
    """
    return _Cutting(groups, removed).run()


class _Cutting:
    def __init__(self, groups: ChannelGroups, removed: Any) -> None:
        self.groups, self.graph = groups, groups.graph
        self.removed = np.array(sorted(removed), "int64")
        self.names = LayerNames()
        self.values: dict[int, Any] = {}
        self.made: dict[int, Any] = {}

    def run(self) -> keras.Model:
        (images,) = self.graph.network.inputs
        new = keras.Input(images.shape[1:], name=self.names("images"))
        self.values[id(images)] = new
        for call in self.graph.calls:
            self._rewrite(call)
        return keras.Model(new, self.graph.outputs(self.values), name="network")

    def _kept(self, tensor: keras.KerasTensor) -> np.ndarray:
        return np.flatnonzero(~np.isin(self.groups.of(tensor), self.removed))

    def _rewrite(self, call: Call) -> Any:
        operation = call.operation
        if isinstance(operation, numpy_ops.Split):
            sizes = [len(self._kept(tensor)) for tensor in call.outputs]
            x = self.values[id(call.inputs[0])]
            outputs = ops.split(x, np.cumsum(sizes)[:-1].tolist(), axis=operation.axis)
        elif isinstance(operation, BeforeActivation) or getattr(operation, "weights", None):
            outputs = self._layer(call)(self.values[id(call.inputs[0])])
        else:
            outputs = call_again(call, self.values, self.names)
        for tensor, value in zip(call.outputs, keras.tree.flatten(outputs), strict=True):
            self.values[id(tensor)] = value

    def _layer(self, call: Call) -> Any:
        layer = call.operation
        if id(layer) not in self.made:
            read, made = self._kept(call.inputs[0]), self._kept(call.outputs[0])
            self.made[id(layer)] = self._cut(call, read, made)
        return self.made[id(layer)]

    def _cut(self, call: Call, read: Any, made: Any) -> keras.layers.Layer:
        layer = call.operation
        source = layer.dense if isinstance(layer, BeforeActivation) else layer
        config, values = _cut_layer(source, read, made)
        if source is not layer:
            config["activation"] = "linear"
        # Of a model that taught before, whose layers stand still, the copy is to be trained.
        config |= {"name": self.names(layer.name), "trainable": True}
        new = type(source).from_config(config)
        new.build(self.values[id(call.inputs[0])].shape)
        for name, value in values.items():
            getattr(new, name).assign(value)
        return new


def _cut_layer(
    layer: keras.layers.Layer, read: Any, made: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the config of a layer with fewer channels and the values of its weights."""
    config = layer.get_config()
    values = {
        name: ops.convert_to_numpy(getattr(layer, name))
        for name in (
            *("kernel", "depthwise_kernel", "pointwise_kernel", "bias"),
            *("gamma", "beta", "moving_mean", "moving_variance"),
        )
        if getattr(layer, name, None) is not None
    }
    if isinstance(layer, layers.BatchNormalization):
        return config, {name: value[made] for name, value in values.items()}
    if isinstance(layer, layers.DepthwiseConv2D):
        cut = {"kernel": values["kernel"][:, :, read]}
    elif isinstance(layer, layers.SeparableConv2D):
        cut = {
            "depthwise_kernel": values["depthwise_kernel"][:, :, read],
            "pointwise_kernel": values["pointwise_kernel"][:, :, read][..., made],
        }
        config["filters"] = len(made)
    elif isinstance(layer, layers.Dense):
        cut, config["units"] = {"kernel": values["kernel"][read][:, made]}, len(made)
    elif isinstance(layer, layers.Conv2D) and not isinstance(layer, layers.Conv2DTranspose):
        if layer.groups != 1:  # its channels stay, all of them
            return config, values
        cut, config["filters"] = {"kernel": values["kernel"][:, :, read][..., made]}, len(made)
    else:
        raise unsupported(layer, "pruned")
    if "bias" in values:
        cut["bias"] = values["bias"][made]
    return config, cut
