"""Extracts logits, embedding and the last map of each stride from a functional classifier."""

import math
from collections import namedtuple
from typing import Any

import keras
from keras import ops

from keras_hkd.errors import InvalidTypeError, InvalidValueError
from keras_hkd.tensors import Tensor

NUM_STAGES = 4
_PROBE_SIDE = 512
_ACTIVATIONS = ("softmax", "sigmoid", "linear")
_RESIZING = (keras.layers.ZeroPadding2D, keras.layers.Cropping2D)

Call = namedtuple("Call", "operation arguments output")


@keras.saving.register_keras_serializable(package="keras_hkd")
class BeforeActivation(keras.layers.Layer):
    """Computes the output of a dense layer before its activation, with the layer's weights.

    Args:
        dense: a built `keras.layers.Dense`.
        **kwargs: arguments of `keras.layers.Layer`.
    """

    def __init__(self, dense: keras.layers.Dense, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dense = dense
        self.built = True

    def call(self, features: Tensor) -> Tensor:
        logits = ops.matmul(features, self.dense.kernel)
        return logits if self.dense.bias is None else logits + self.dense.bias


def read_network(model: Any) -> tuple[keras.Model, str]:
    """Build a network with several outputs from the layers of a classifier.

    Nested models are expanded, so that their maps can be read; all layers are shared.

    Args:
        model: a functional or built Sequential model from images to logits or scores, whose last
            layer with weights is a Dense layer.

    Returns:
        A functional model from images to `logits (batch, classes)` float32,
        `stages {"C2": (batch, h, w, channels), ...}`, the last map of each of the four coarsest
        strides, and `embedding (batch, width)`, the input of the last Dense layer; and the
        activation, `"softmax"` or `"sigmoid"`.

    Raises:
        TypeError: if the model is not functional.
        ValueError: if it has another input, or does not end in a Dense layer over vectors.
    """
    size = _input_size(model)
    images = keras.Input((*size, 3), name="images")
    tracing = _Tracing()
    output = tracing.run(model, images)
    if len(model.outputs) != 1:
        raise InvalidValueError(
            f"A classifier gives one output. Received: model '{model.name}' with "
            f"{len(model.outputs)} outputs."
        )
    output = keras.tree.flatten(output)[0]
    dense, embedding, logits, activation = _head(model, output, tracing.calls)
    if logits is None:
        logits = BeforeActivation(dense, name="before_activation")(embedding)
    outputs = {
        "logits": ops.cast(logits, "float32"),
        "stages": _stages(model, tracing.calls, size),
        "embedding": embedding,
    }
    return keras.Model(images, outputs, name="network"), activation


class _Tracing:
    """Runs a model and its nested models on a symbolic tensor and records every call."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def run(self, model: Any, images: Tensor) -> Tensor:
        if isinstance(model, keras.Sequential):
            for layer in model.layers:
                images = self.call(layer, images)
            return images
        return model._run_through_graph(images, lambda operation: operation, call_fn=self.call)

    def call(self, operation: Any, *args: Any, **kwargs: Any) -> Tensor:
        if _is_graph(operation):
            return self.run(operation, *args)
        output = operation(*args, **kwargs)
        self.calls.append(Call(operation, args, output))
        return output


def _is_graph(model: Any) -> bool:
    if isinstance(model, keras.Sequential):
        return model.built
    return isinstance(model, keras.Model) and hasattr(model, "_run_through_graph")


def _input_size(model: Any) -> tuple[int | None, int | None]:
    if not isinstance(model, keras.Model) or not _is_graph(model):
        raise InvalidTypeError(
            "Expected a functional keras.Model, or a Sequential one that knows its input, which "
            "ends in the logits of its classes; a KerasCV detector; or a keras_hkd Detector or "
            f"Classifier. Received: {type(model).__name__}. Other models need an adapter: subclass "
            "keras_hkd.detectors.Detector, or give the functional part of a subclassed classifier."
        )
    shapes = [tuple(tensor.shape) for tensor in model.inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][-1] != 3:
        raise InvalidValueError(
            "A classifier takes one input, images of shape (batch, height, width, 3). Received: "
            f"model '{model.name}' with inputs of shapes {shapes}"
        )
    return shapes[0][1], shapes[0][2]


def _head(
    model: Any, output: Tensor, calls: list[Call]
) -> tuple[keras.layers.Dense, Tensor, Tensor | None, str]:
    """Find the last Dense layer, its input, its output if these are logits, and the activation."""
    made_by = {id(call.output): call for call in calls}
    call, found = made_by.get(id(output)), "linear"
    while call is not None and isinstance(
        call.operation, keras.layers.Softmax | keras.layers.Activation
    ):
        found = _activation(model, call.operation, found)
        output = call.arguments[0]
        call = made_by.get(id(output))
    dense = None if call is None else call.operation
    if call is None or not isinstance(dense, keras.layers.Dense) or len(output.shape) != 2:
        raise InvalidValueError(
            f"Model '{model.name}' must end in a Dense layer that gives one logit (or score) per "
            "class, as `Dense(num_classes)(vectors)` does. Received: an output of shape "
            f"{tuple(output.shape)} made by {type(dense).__name__}."
        )
    own = _activation(model, dense, "linear")
    logits = output if own == "linear" else None
    found = own if found == "linear" else found
    return dense, call.arguments[0], logits, "softmax" if found == "linear" else found


def _activation(model: Any, layer: keras.layers.Layer, inner: str) -> str:
    """Return the name of the last activation; raise if it is neither softmax nor sigmoid."""
    if isinstance(layer, keras.layers.Softmax):
        name = "softmax"
    else:
        name = getattr(layer.activation, "__name__", type(layer.activation).__name__)
    if name not in _ACTIVATIONS:
        raise InvalidValueError(
            f"Model '{model.name}' must end in logits, or in a softmax or sigmoid of them. "
            f"Received: the activation {name!r}"
        )
    return inner if name == "linear" else name


def _stages(
    model: Any, calls: list[Call], size: tuple[int | None, int | None]
) -> dict[str, Tensor]:
    """Return the last maps of the coarsest strides by level, finest first."""
    probed = calls
    height, width = size
    if height is None or width is None:  # strides show on an image of known size
        height = width = _PROBE_SIDE
        tracing = _Tracing()
        tracing.run(model, keras.Input((height, width, 3)))
        probed = tracing.calls
    last = {}
    for call, probe in zip(calls, probed, strict=True):
        shape: tuple[Any, ...] = getattr(probe.output, "shape", ())
        is_map = len(shape) == 4 and None not in shape[1:] and shape[-1] > 3
        if is_map and max(shape[1:3]) > 1 and not isinstance(call.operation, _RESIZING):
            last[round(math.log2(height / shape[1]))] = call.output
    return {f"C{level}": last[level] for level in sorted(last)[-NUM_STAGES:]}
