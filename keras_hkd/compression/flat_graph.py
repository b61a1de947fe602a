"""Flattens a network to a list of calls: inner models and composite layers are taken apart."""

from collections import Counter, namedtuple
from typing import Any

import keras

from keras_hkd.classifiers.network import BeforeActivation
from keras_hkd.errors import InvalidValueError
from keras_hkd.tensors import Tensor

Call = namedtuple("Call", "operation arguments inputs outputs")
Call.__doc__ = """One call of a layer or operation in a network.

Attributes:
    operation: the layer or `keras.ops` operation.
    arguments: Keras's record of the call; `fill_in({id(tensor): value})` gives args and kwargs.
    inputs: symbolic tensors that it reads.
    outputs: symbolic tensors that it makes.
"""
# Layers with layers inside that count as one.
_WHOLE = (keras.layers.SeparableConv2D, BeforeActivation)
_MOST_NESTED = 8


class UnsupportedLayerError(InvalidValueError):
    """A network has a layer that cannot be compressed; the message names it and its type."""


class FlatGraph:
    """The calls of a network in the order of computation.

    The layers are the network's own and are not changed.

    Args:
        network: a functional model; layers that call other layers are opened.

    Attributes:
        network: the flat functional model, with the inputs' shapes and outputs of the first.
        calls: list of `Call`.

    Raises:
        UnsupportedLayerError: a layer that calls others in a way that cannot be traced.

    Example:

    >>> images = keras.Input((8, 8, 3))
    >>> inner = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 1)])
    >>> graph = FlatGraph(keras.Model(images, keras.layers.ReLU()(inner(images))))
    >>> [type(call.operation).__name__ for call in graph.calls]
    ['Conv2D', 'ReLU']
    """

    def __init__(self, network: keras.Model) -> None:
        for _ in range(_MOST_NESTED):
            if not any(_is_graph(one) or _is_composite(one) for one in network.operations):
                break
            network = _opened(network)
        self.network = network
        self.calls = _calls(network)
        self._consumers = {}
        for call in self.calls:
            for tensor in call.inputs:
                self._consumers.setdefault(id(tensor), []).append(call)
        self._output_ids = {id(tensor) for tensor in keras.tree.flatten(network.output)}
        self._num_calls = Counter(id(call.operation) for call in self.calls)

    def consumers(self, tensor: keras.KerasTensor) -> list[Call]:
        """List the calls that read a tensor."""
        return self._consumers.get(id(tensor), [])

    def is_output(self, tensor: keras.KerasTensor) -> bool:
        """Tell whether a tensor is an output of the network."""
        return id(tensor) in self._output_ids

    def only_consumer(self, tensor: keras.KerasTensor) -> Call | None:
        """Return the only call that reads a tensor; None if it is an output or has several."""
        consumers = self.consumers(tensor)
        return consumers[0] if len(consumers) == 1 and not self.is_output(tensor) else None

    def num_calls(self, operation: keras.Operation) -> int:
        """Count the calls of a layer."""
        return self._num_calls[id(operation)]

    def outputs(self, values: Any) -> Any:
        """Return the network's structure of outputs with other tensors in it.

        Args:
            values: `{id(tensor): tensor}`.
        """
        return keras.tree.map_structure(lambda tensor: values[id(tensor)], self.network.output)


class LayerNames:
    """Names for the layers of a new network, each given once.

    Example:

    >>> names = LayerNames()
    >>> names("conv"), names("conv"), names("conv")
    ('conv', 'conv_2', 'conv_3')
    """

    def __init__(self) -> None:
        self._taken = Counter()

    def __call__(self, name: str) -> str:
        self._taken[name] += 1
        return name if self._taken[name] == 1 else f"{name}_{self._taken[name]}"


def call_again(call: Call, values: Any, names: LayerNames, **config: Any) -> Any:
    """Repeat a call without weights on other tensors. Layers are copied, operations are not.

    Args:
        call: an operation of a `FlatGraph`.
        values: `{id(tensor): tensor}`, the new tensors for those of the graph.
        names: `LayerNames` of the new network.
        **config: what the copy of a layer is to have otherwise.
    """
    operation = call.operation
    if isinstance(operation, keras.layers.Layer):
        name = names(operation.name)
        operation = type(operation).from_config({**operation.get_config(), "name": name, **config})
    args, kwargs = call.arguments.fill_in(values)
    return operation(*args, **kwargs)


def unsupported(operation: keras.Operation, what: str) -> UnsupportedLayerError:
    """Make the error for a layer that cannot be `what`."""
    return UnsupportedLayerError(
        f"Layer '{operation.name}' of type {type(operation).__name__} cannot be {what}. Replace it "
        "by layers that can (see docs/guides/compress.md), or leave this model as it is."
    )


def _is_graph(operation: keras.Operation) -> bool:
    return hasattr(operation, "_run_through_graph") or (
        isinstance(operation, keras.Sequential) and operation.built
    )


def _is_composite(operation: keras.Operation) -> bool:
    return bool(getattr(operation, "_layers", None)) and not isinstance(operation, _WHOLE)


def _opened(network: keras.Model) -> keras.Model:
    """Replace inner models by their layers, and composite layers by their parts, one level deep."""

    def call(operation: keras.Operation, *args: Any, **kwargs: Any) -> Any:
        if _is_graph(operation):
            return run(operation, *args)
        if _is_composite(operation):
            return _call_open(operation, args, kwargs)
        return operation(*args, **kwargs)

    def run(model: keras.Model, inputs: Tensor) -> Any:
        model = getattr(model, "_functional", model)  # of a Sequential
        return model._run_through_graph(inputs, lambda operation: operation, call_fn=call)

    images = [keras.Input(x.shape[1:], dtype=x.dtype, name=x.name) for x in network.inputs]
    return keras.Model(images[0] if len(images) == 1 else images, run(network, images))


def _call_open(layer: keras.layers.Layer, args: Any, kwargs: Any) -> Any:
    kwargs = {key: value for key, value in kwargs.items() if key != "training"}
    try:
        return layer.call(*args, **kwargs)
    except Exception as error:
        raise UnsupportedLayerError(
            f"Layer '{layer.name}' of type {type(layer).__name__} calls other layers in a way that "
            f"cannot be traced: {type(error).__name__}: {str(error)[:300]}"
        ) from error


def _calls(network: keras.Model) -> list[Call]:
    calls = []
    for depth in sorted(network._nodes_by_depth, reverse=True):
        for node in network._nodes_by_depth[depth]:
            if node.operation and not node.is_input:
                calls.append(Call(node.operation, node.arguments, node.input_tensors, node.outputs))
    return calls
