"""Rebuilds a float network, layer by layer, for quantisation-aware training."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from keras.src.ops import core as core_ops
from keras.src.ops import nn as nn_ops
from keras.src.ops import numpy as numpy_ops

from keras_hkd.classifiers.network import BeforeActivation
from keras_hkd.compression.fake_quantization import SIGMOID_RANGE, ActivationRange, FixedRange
from keras_hkd.compression.flat_graph import Call, FlatGraph, LayerNames, call_again, unsupported
from keras_hkd.compression.quantized_layers import (
    QuantizedConv2D,
    QuantizedDense,
    QuantizedDepthwiseConv2D,
    QuantizedLayer,
    norm_values,
)
from keras_hkd.errors import InvalidValueError
from keras_hkd.tensors import Tensor

PIXELS = (0.0, 255.0)
# They move values and make none, so that what comes out has the range of what goes in.
_MOVING = (
    layers.MaxPooling2D,
    layers.AveragePooling2D,
    layers.GlobalMaxPooling2D,
    layers.UpSampling2D,
    layers.ZeroPadding2D,
    layers.Cropping2D,
    layers.Reshape,
    layers.Flatten,
    layers.Permute,
    layers.Dropout,
    layers.SpatialDropout2D,
    layers.Identity,
    core_ops.Cast,
    numpy_ops.Repeat,
    numpy_ops.Reshape,
    numpy_ops.Split,
    numpy_ops.GetItem,
)
_COMBINING = (
    layers.Add,
    layers.Subtract,
    layers.Multiply,
    layers.Maximum,
    layers.GlobalAveragePooling2D,
    numpy_ops.Add,
    numpy_ops.Subtract,
    numpy_ops.Multiply,
    numpy_ops.Maximum,
    numpy_ops.Mean,
)
_JOINING = (layers.Concatenate, numpy_ops.Concatenate)
_ACTIVATION_OPERATIONS = {
    nn_ops.Relu: "relu",
    nn_ops.Relu6: "relu6",
    nn_ops.Silu: "silu",
    nn_ops.Sigmoid: "sigmoid",
    nn_ops.HardSilu: "hard_silu",
    nn_ops.HardSigmoid: "hard_sigmoid",
}
_FUSED = ("relu", "relu6")  # TFLite computes them inside the layer before
_ACTIVATIONS = ("linear", *_FUSED, "silu", "swish", "sigmoid", "hard_silu", "hard_sigmoid")


def quantized_network(
    network: keras.Model, range_decay: float | None, keep_float: tuple[str, ...] = ()
) -> keras.Model:
    """Rebuild a network with int8 rounding of weights and activations, on new layers.

    BatchNorm behind a convolution is folded into it, elsewhere it becomes a 1x1 depthwise
    convolution. Tensors that a concatenation joins share its
    range, and what relu clips has its range after it: so TFLite computes them too.

    Args:
        network: a functional float model on images in [0, 255].
        range_decay: see `ActivationRange`.
        keep_float: what the names of layers begin with that are not rounded.

    Returns:
        A functional model with the same structure of outputs.

    Raises:
        UnsupportedLayerError: names the first layer that cannot be quantised.
        ValueError: no layer has a name that begins with one of `keep_float`.
    """
    return _Rewriting(FlatGraph(network), range_decay, keep_float).run()


class _Rewriting:
    def __init__(
        self, graph: FlatGraph, range_decay: float | None, keep_float: tuple[str, ...]
    ) -> None:
        self.graph = graph
        self.range_decay = range_decay
        self.keep_float = keep_float
        self.rounds = True  # whether the call that is rewritten now is rounded
        self.names = LayerNames()
        self.values = {}
        self.made = {}  # id of a float layer -> its quantised layer, for layers that are shared
        self.folded = set()  # ids of the BatchNorm layers that went into the layer before

    def run(self) -> keras.Model:
        self._check_names()
        (images,) = self.graph.network.inputs
        self.images = images
        new = keras.Input(images.shape[1:], name=self.names("images"))
        self.values[id(images)] = FixedRange(*PIXELS, name=self.names("images_range"))(new)
        for call in self.graph.calls:
            if id(call.operation) not in self.folded:
                self._rewrite(call)
        return keras.Model(new, self.graph.outputs(self.values), name="network")

    def _check_names(self) -> None:
        names = [call.operation.name for call in self.graph.calls]
        for start in self.keep_float:
            if not any(name.startswith(start) for name in names):
                raise InvalidValueError(
                    "`keep_float` must hold the beginnings of names of layers; this network has "
                    f"{', '.join(dict.fromkeys(names))}. Received: {start!r}"
                )

    def _stays_float(self, call: Call) -> bool:
        """Tell whether a call is not rounded: by its name, or rescaling for nothing but such."""
        if isinstance(call.operation, layers.Rescaling):
            return self._is_read_in_float(call.outputs[0])
        return call.operation.name.startswith(self.keep_float)

    def _is_read_in_float(self, tensor: keras.KerasTensor) -> bool:
        consumers = self.graph.consumers(tensor)
        if not consumers or self.graph.is_output(tensor):
            return False
        return all(self._stays_float(call) for call in consumers)

    def _rewrite(self, call: Call) -> Any:
        operation = call.operation
        self.rounds = not self._stays_float(call)
        for types, method in (
            (layers.SeparableConv2D, self._separable),
            (layers.DepthwiseConv2D, self._depthwise),
            (layers.Conv2DTranspose, self._refuse),
            (layers.Conv2D, self._convolution),
            ((layers.Dense, BeforeActivation), self._dense),
            (layers.BatchNormalization, self._norm),
            (layers.Rescaling, self._rescaling),
            ((layers.Activation, layers.ReLU, *_ACTIVATION_OPERATIONS), self._activation_call),
            (_JOINING + _COMBINING, self._combination),
            (_MOVING, self._move),
        ):
            if isinstance(operation, types):
                return method(call)
        return self._refuse(call)

    def _refuse(self, call: Call) -> None:
        raise unsupported(call.operation, "quantised")

    # Layers with weights.

    def _convolution(self, call: Call) -> None:
        layer = call.operation
        if layer.groups != 1 or layer.data_format != "channels_last" or layer.padding == "causal":
            self._refuse(call)
        self._linear(call, QuantizedConv2D, layer.kernel, layer.bias, _geometry(layer))

    def _depthwise(self, call: Call) -> None:
        layer = call.operation
        if layer.data_format != "channels_last":
            self._refuse(call)
        self._linear(call, QuantizedDepthwiseConv2D, layer.kernel, layer.bias, _geometry(layer))

    def _dense(self, call: Call) -> None:
        layer = call.operation
        dense = layer.dense if isinstance(layer, BeforeActivation) else layer
        activation = "linear" if dense is not layer else _name(layer.activation)
        self._linear(call, QuantizedDense, dense.kernel, dense.bias, {}, activation)

    def _separable(self, call: Call) -> None:
        layer = call.operation
        if layer.data_format != "channels_last":
            self._refuse(call)
        depthwise = self._layer((id(layer), "depthwise"), lambda: _linear_layer(
            QuantizedDepthwiseConv2D, layer.depthwise_kernel, None, None,
            self.names(f"{layer.name}_depthwise"), rounded=self.rounds, **_geometry(layer),
        ))  # fmt: skip
        x = self._range(depthwise(self._input(call)), f"{layer.name}_depthwise")
        self._linear(call, QuantizedConv2D, layer.pointwise_kernel, layer.bias, {}, inputs=x)

    def _linear(
        self,
        call: Call,
        kind: Any,
        kernel: Any,
        bias: Any,
        geometry: dict[str, Any],
        activation: Any = None,
        inputs: Tensor = None,
    ) -> None:
        layer, output = call.operation, call.outputs[0]
        if activation is None:
            activation = _name(layer.activation)
        norm = self._norm_behind(call) if activation == "linear" else None
        made = self._layer(
            id(layer),
            lambda: _linear_layer(
                kind, kernel, bias, norm, self.names(layer.name), rounded=self.rounds, **geometry
            ),
        )
        x = made(self._input(call) if inputs is None else inputs)
        if norm is not None:
            self.folded.add(id(norm))
            following = self.graph.consumers(output)[0]
            output = following.outputs[0]
        if activation not in ("linear", *_FUSED):
            x = self._range(x, f"{layer.name}_before")
        self._set_ranged(output, self._activated(x, activation, layer), layer.name)

    def _norm_behind(self, call: Call) -> Any:
        following = self.graph.only_consumer(call.outputs[0])
        if following is None or not _is_foldable(following.operation):
            return None
        once = max(self.graph.num_calls(one.operation) for one in (call, following)) == 1
        return following.operation if once else None

    def _norm(self, call: Call) -> None:
        norm = call.operation
        if norm.axis not in (-1, len(call.inputs[0].shape) - 1) or len(call.inputs[0].shape) != 4:
            self._refuse(call)
        gamma, inverse_std, shift = norm_values(norm, call.inputs[0].shape[-1])
        made = self._layer(id(norm), lambda: self._scaling(norm.name, gamma * inverse_std, shift))
        self._set_ranged(call.outputs[0], made(self._input(call)), norm.name)

    def _rescaling(self, call: Call) -> None:
        """Rewrite as product and sum, which XNNPACK runs faster than a depthwise convolution."""
        name, tensor = call.operation.name, call.outputs[0]
        scale, offset = (
            np.asarray(value, "float32") for value in (call.operation.scale, call.operation.offset)
        )
        of_pixels = call.inputs[0] is self.images
        x = ops.multiply(self._input(call), scale)
        if np.any(offset):
            if of_pixels:
                x = self._pixel_range(x, scale, 0.0, f"{name}_scaled")
            else:
                x = self._range(x, f"{name}_scaled")
            x = ops.add(x, offset)
        if of_pixels:
            self.values[id(tensor)] = self._pixel_range(x, scale, offset, name)
        else:
            self._set_ranged(tensor, x, name)

    def _scaling(self, name: str, scale: Any, shift: Any) -> Any:
        layer = QuantizedDepthwiseConv2D(
            (1, 1, len(scale), 1), len(scale), rounded=self.rounds, name=self.names(name)
        )
        layer.build((None, None, None, len(scale)))
        layer.assign_values(ops.reshape(scale, layer.kernel_shape), shift)
        return layer

    def _layer(self, key: Any, make: Callable[[], Any]) -> Any:
        if key not in self.made:
            self.made[key] = make()
        return self.made[key]

    # Layers without weights.

    def _activation_call(self, call: Call) -> None:
        operation = call.operation
        name = _ACTIVATION_OPERATIONS.get(type(operation))
        if isinstance(operation, layers.Activation):
            name = _name(operation.activation)
        if isinstance(operation, layers.ReLU):
            name = _relu_name(operation)
        if name not in _ACTIVATIONS:
            self._refuse(call)
        x = self._input(call)
        if name == "linear":
            self.values[id(call.outputs[0])] = x
        else:
            self._set_ranged(call.outputs[0], self._activated(x, name, operation), operation.name)

    def _activated(self, x: Tensor, activation: Any, layer: keras.layers.Layer) -> Tensor:
        """Apply an activation, with a range for each of the operations that TFLite makes of it."""
        if activation not in _ACTIVATIONS:
            raise unsupported(layer, f"quantised with its activation {activation!r}")
        if activation in _FUSED:
            return getattr(ops, activation)(x)
        if activation in ("sigmoid", "silu", "swish"):
            gate = self._fixed_range(ops.sigmoid(x), SIGMOID_RANGE, f"{layer.name}_sigmoid")
            return gate if activation == "sigmoid" else ops.multiply(x, gate)
        if activation in ("hard_sigmoid", "hard_silu"):
            gate = self._range(ops.relu6(ops.add(x, 3.0)), f"{layer.name}_gate")
            gate = self._range(ops.multiply(gate, 1 / 6), f"{layer.name}_sigmoid")
            return gate if activation == "hard_sigmoid" else ops.multiply(x, gate)
        return x

    def _combination(self, call: Call) -> None:
        self._set_ranged(call.outputs[0], self._called(call), call.operation.name)

    def _move(self, call: Call) -> None:
        if isinstance(call.operation, layers.UpSampling2D):
            if call.operation.interpolation != "nearest":
                self._refuse(call)
        outputs = keras.tree.flatten(self._called(call))
        for tensor, value in zip(call.outputs, outputs, strict=True):
            self.values[id(tensor)] = value

    def _called(self, call: Call) -> Any:
        return call_again(call, self.values, self.names, dtype="float32")

    # Ranges.

    def _input(self, call: Call) -> Any:
        return self.values[id(call.inputs[0])]

    def _set_ranged(self, tensor: keras.KerasTensor, value: Any, name: str) -> None:
        """Give a new tensor its range, unless a following layer gives it one or stays in float."""
        without = self._is_clipped(tensor), self._is_joined(tensor), self._is_read_in_float(tensor)
        self.values[id(tensor)] = value if any(without) else self._new_range(value, name)

    def _range(self, value: Any, name: str) -> Tensor:
        """Give a value inside the call that is rewritten now its range, if that call is rounded."""
        return self._new_range(value, name) if self.rounds else value

    def _new_range(self, value: Any, name: str) -> Tensor:
        return ActivationRange(self.range_decay, name=self.names(f"{name}_range"))(value)

    def _pixel_range(self, x: Tensor, scale: Any, offset: Any, name: str) -> Tensor:
        """Return the range of `scale * pixel + offset`, which needs no calibration."""
        ends = np.stack(np.broadcast_arrays(offset, scale * PIXELS[1] + offset))
        limits = min(0.0, float(ends.min())), max(0.0, float(ends.max()))
        return self._fixed_range(x, limits, f"{name}_range")

    def _fixed_range(self, x: Tensor, limits: tuple[float, float], name: str) -> Tensor:
        return FixedRange(*limits, name=self.names(name))(x) if self.rounds else x

    def _is_clipped(self, tensor: keras.KerasTensor) -> bool:
        following = self.graph.only_consumer(tensor)
        if following is None:
            return False
        operation = following.operation
        if isinstance(operation, layers.Activation):
            return _name(operation.activation) in _FUSED
        if isinstance(operation, layers.ReLU):
            return _relu_name(operation) in _FUSED
        return _ACTIVATION_OPERATIONS.get(type(operation)) in _FUSED

    def _is_joined(self, tensor: keras.KerasTensor) -> bool:
        consumers = self.graph.consumers(tensor)
        if not consumers or self.graph.is_output(tensor):
            return False
        return all(
            isinstance(call.operation, _JOINING)
            or (
                isinstance(call.operation, _MOVING)
                and all(self._is_joined(output) for output in call.outputs)
            )
            for call in consumers
        )


def _linear_layer(
    kind: Any, kernel: Any, bias: Any, norm: Any, name: str, **config: Any
) -> QuantizedLayer:
    num_outputs = kernel.shape[-1]
    if kind is QuantizedDepthwiseConv2D:
        num_outputs *= kernel.shape[-2]
    layer = kind(kernel.shape, num_outputs, norm is not None, name=name, **config)
    layer.build(None)
    layer.assign_values(kernel, bias, norm)
    return layer


def _geometry(layer: keras.layers.Layer) -> dict[str, Any]:
    return {
        "strides": layer.strides,
        "padding": layer.padding,
        "dilation_rate": layer.dilation_rate,
    }


def _is_foldable(operation: keras.Operation) -> bool:
    return isinstance(operation, layers.BatchNormalization) and operation.axis in (-1, 3)


def _name(activation: Any) -> str:
    return getattr(activation, "__name__", type(activation).__name__)


def _relu_name(layer: keras.layers.Layer) -> str | None:
    if layer.negative_slope or layer.threshold:
        return None
    return {None: "relu", 6.0: "relu6"}.get(layer.max_value)
