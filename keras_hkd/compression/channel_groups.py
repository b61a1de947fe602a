"""Finds the groups of channels of a network that can only be removed together."""

import keras
import numpy as np
from keras import layers, ops
from keras.src.ops import nn as nn_ops
from keras.src.ops import numpy as numpy_ops

from keras_hkd.classifiers.network import BeforeActivation
from keras_hkd.compression.flat_graph import Call, FlatGraph

# Outputs whose channels may go: maps that others read, not predictions.
MAPS = ("pyramid", "class_tower", "stages", "embedding", "taps")
_ELEMENTWISE = (
    layers.Activation,
    layers.ReLU,
    layers.LeakyReLU,
    layers.Identity,
    layers.Dropout,
    layers.SpatialDropout2D,
    layers.MaxPooling2D,
    layers.AveragePooling2D,
    layers.GlobalAveragePooling2D,
    layers.GlobalMaxPooling2D,
    layers.UpSampling2D,
    layers.ZeroPadding2D,
    layers.Cropping2D,
    keras.src.ops.core.Cast,
    nn_ops.Relu,
    nn_ops.Relu6,
    nn_ops.Silu,
    nn_ops.HardSilu,
)
_TIED = (
    layers.Add,
    layers.Subtract,
    layers.Multiply,
    layers.Maximum,
    numpy_ops.Add,
    numpy_ops.Subtract,
    numpy_ops.Multiply,
    numpy_ops.Maximum,
)
_JOINING = (layers.Concatenate, numpy_ops.Concatenate)
_DENSE = (layers.Dense, BeforeActivation)


class ChannelGroups:
    """The channels of every tensor of a network, as numbers of the groups that they belong to.

    A convolution makes channels; BatchNorm, activations and depthwise convolutions hand them on;
    an addition makes one group of the channels that it adds; concatenations and splits sort them.
    What is reshaped, rescaled or predicted keeps all of its channels.

    Args:
        network: a functional model of images.

    Attributes:
        graph: the `FlatGraph`.
        fixed: groups that cannot be removed.

    Example:

    >>> images = keras.Input((8, 8, 3))
    >>> x = layers.Conv2D(4, 1, name="first")(images)
    >>> x = layers.Add()([x, layers.Conv2D(4, 1, name="second")(x)])
    >>> groups = ChannelGroups(keras.Model(images, layers.Conv2D(2, 1)(x)))
    >>> first, second = (groups.of(call.outputs[0]).tolist() for call in groups.graph.calls[:2])
    >>> first == second
    True
    """

    def __init__(self, network: keras.Model) -> None:
        self.graph = FlatGraph(network)
        self._parents = []
        self._channels = {}  # id of a tensor -> its channels
        self._made = {}  # id of a layer -> the channels that it makes, wherever it is called
        self._read = {}  # id of a layer -> the channels that it reads
        self._frozen = []
        for tensor in self.graph.network.inputs:
            self._freeze(self._new(tensor))
        for call in self.graph.calls:
            self._follow(call)
        self._freeze_predictions()
        self.fixed = {self._root(channel) for channel in self._frozen}

    @property
    def count(self) -> int:
        """Numbers of groups lie below this."""
        return len(self._parents)

    def of(self, tensor: keras.KerasTensor) -> np.ndarray:
        """Return the group of each channel of a tensor, `(channels,)` integers."""
        return self._roots(self._channels[id(tensor)])

    def made_by(self, layer: keras.layers.Layer) -> np.ndarray:
        """Return the groups of the output channels of a layer, `(channels,)` integers."""
        return self._roots(self._made[id(layer)])

    def makers(self) -> list[Call]:
        """List the calls of layers that make channels, each layer once."""
        seen = {}
        for call in self.graph.calls:
            if id(call.operation) in self._made:
                seen.setdefault(id(call.operation), call)
        return list(seen.values())

    def _follow(self, call: Call) -> None:
        operation = call.operation
        if isinstance(operation, layers.DepthwiseConv2D):
            channels = self._reads(operation, call)
            self._set(call.outputs[0], np.repeat(channels, operation.depth_multiplier))
        elif isinstance(operation, layers.BatchNormalization | nn_ops.Softmax):
            self._set(call.outputs[0], self._input(call))
        elif isinstance(operation, layers.Conv2D | layers.SeparableConv2D | _DENSE[0] | _DENSE[1]):
            self._follow_maker(call)
        elif isinstance(operation, _TIED):
            self._tie(call)
        elif isinstance(operation, _JOINING):
            self._join(call)
        elif isinstance(operation, numpy_ops.Split) and _is_last(operation.axis, call.inputs[0]):
            sizes = [tensor.shape[-1] for tensor in call.outputs]
            parts = np.split(self._input(call), np.cumsum(sizes)[:-1])
            for tensor, part in zip(call.outputs, parts, strict=True):
                self._set(tensor, part)
        elif isinstance(operation, _ELEMENTWISE) or _repeats_cells(call):
            self._set(call.outputs[0], self._input(call))
        else:
            self._fix(call)
            return
        if not _keeps_zero(operation) and not self._only_scales(call):
            self._freeze(self._channels[id(call.outputs[0])])

    def _only_scales(self, call: Call) -> bool:
        """Tell whether all consumers of a call are products."""
        consumers = self.graph.consumers(call.outputs[0])
        products = (layers.Multiply, numpy_ops.Multiply)
        return bool(consumers) and all(isinstance(one.operation, products) for one in consumers)

    def _follow_maker(self, call: Call) -> None:
        operation = call.operation
        channels = self._reads(operation, call)
        if getattr(operation, "groups", 1) != 1 or isinstance(operation, layers.Conv2DTranspose):
            self._fix(call)
            return
        if isinstance(operation, layers.SeparableConv2D) and operation.depth_multiplier != 1:
            self._freeze(channels)
        if id(operation) not in self._made:
            self._made[id(operation)] = self._numbers(call.outputs[0].shape[-1])
        self._set(call.outputs[0], self._made[id(operation)])

    def _reads(self, layer: keras.layers.Layer, call: Call) -> np.ndarray:
        channels = self._input(call)
        if id(layer) in self._read:  # one kernel, several inputs: their channels go together
            self._union(self._read[id(layer)], channels)
        self._read[id(layer)] = channels
        return channels

    def _tie(self, call: Call) -> None:
        channels = [self._channels[id(x)] for x in call.inputs]
        if len({len(one) for one in channels}) != 1:
            self._fix(call)
            return
        for other in channels[1:]:
            self._union(channels[0], other)
        self._set(call.outputs[0], channels[0])

    def _join(self, call: Call) -> None:
        channels = [self._channels[id(x)] for x in call.inputs]
        if _is_last(call.operation.axis, call.inputs[0]):
            self._set(call.outputs[0], np.concatenate(channels))
        else:
            self._tie(call)

    def _fix(self, call: Call) -> None:
        """Keep all channels of a call that is not known."""
        for tensor in call.inputs:
            self._freeze(self._channels[id(tensor)])
        for tensor in call.outputs:
            self._freeze(self._new(tensor))

    def _freeze_predictions(self) -> None:
        outputs = self.graph.network.output
        outputs = outputs if isinstance(outputs, dict) else {"output": outputs}
        for name, tensors in outputs.items():
            if name not in MAPS:
                for tensor in keras.tree.flatten(tensors):
                    self._freeze(self._channels[id(tensor)])

    def _input(self, call: Call) -> np.ndarray:
        return self._channels[id(call.inputs[0])]

    def _set(self, tensor: keras.KerasTensor, channels: np.ndarray) -> None:
        self._channels[id(tensor)] = channels

    def _new(self, tensor: keras.KerasTensor) -> np.ndarray:
        self._set(tensor, self._numbers(tensor.shape[-1] or 0))
        return self._channels[id(tensor)]

    def _numbers(self, count: int) -> np.ndarray:
        first = len(self._parents)
        self._parents.extend(range(first, first + count))
        return np.arange(first, first + count)

    def _freeze(self, channels: np.ndarray) -> None:
        self._frozen.extend(int(channel) for channel in channels)

    def _union(self, some: np.ndarray, others: np.ndarray) -> None:
        for one, other in zip(some, others, strict=True):
            one, other = sorted((self._root(one), self._root(other)))
            self._parents[other] = one

    def _root(self, channel: int) -> int:
        while self._parents[channel] != channel:
            channel = self._parents[channel]
        return int(channel)

    def _roots(self, channels: np.ndarray) -> np.ndarray:
        return np.array([self._root(channel) for channel in channels], "int64")


def _is_last(axis: int, tensor: keras.KerasTensor) -> bool:
    return axis in (-1, len(tensor.shape) - 1)


def _repeats_cells(call: Call) -> bool:
    return isinstance(call.operation, numpy_ops.Repeat) and call.operation.axis in (1, 2)


def _keeps_zero(operation: keras.Operation) -> bool:
    """Tell whether an operation maps zero to zero; a sigmoid does not."""
    activation = getattr(operation, "activation", None)
    if activation is None or isinstance(operation, BeforeActivation):
        return True
    return float(activation(ops.zeros((1, 1)))[0, 0]) == 0.0
