"""Counts parameters and operations of a model and measures its latency."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras

from keras_hkd.evaluation.latency import measure_latency_ms
from keras_hkd.inference.prediction import input_size
from keras_hkd.logs import silenced
from keras_hkd.tensors import Tensor


def measure_costs(
    models: Mapping[str, Any], image_size: tuple[int, int] | None = None, repeats: int = 10
) -> dict[str, dict[str, float]]:
    """Measure parameters, operations and time per image of models, timed in turn.

    Args:
        models: name -> a `keras_hkd` detector or classifier.
        image_size: `(height, width)` in pixels; each model's own if None.
        repeats: timed predictions of each.

    Returns:
        Name -> dict of `parameters`, `gflops` (see `count_gflops`) and `latency_ms` (see
        `measure_latency_ms`).
    """
    latencies_ms = measure_latency_ms(models, image_size, repeats=repeats)
    return {
        name: {
            "parameters": count_parameters(model),
            "gflops": count_gflops(model, image_size),
            "latency_ms": latencies_ms[name],
        }
        for name, model in models.items()
    }


def count_parameters(model: Any) -> int:
    """Count the weights of a model, those that are not trained (BatchNorm's statistics) included.

    Args:
        model: a Keras model or layer.

    Example:

    >>> inputs = keras.Input((4,))
    >>> count_parameters(keras.Model(inputs, keras.layers.Dense(3)(inputs)))
    15
    """
    return sum(math.prod(weight.shape) for weight in model.weights)


def count_gflops(model: Any, image_size: tuple[int, int] | None = None) -> float:
    """Count the floating-point operations of one forward pass over one image, in billions.

    A multiply-add counts as two. Decoding and non-maximum suppression are not counted: they are no
    part of the network.

    Args:
        model: a model on images `(batch, height, width, 3)`.
        image_size: `(height, width)` in pixels; the model's own if None.

    Returns:
        GFLOPs as TensorFlow's profiler counts them; nan on other Keras backends.

    Raises:
        ValueError: the model has no `image_size` and none was given.
    """
    height, width = input_size(model, image_size)
    if keras.backend.backend() != "tensorflow":
        return math.nan
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    def forward(images: Tensor) -> list[Tensor]:
        outputs = model(images, training=False)
        for names in (("class_logits", "box_outputs"), ("logits",)):
            if isinstance(outputs, dict) and names[0] in outputs:
                return [outputs[name] for name in names]
        return tf.nest.flatten(outputs)

    images = tf.TensorSpec((1, height, width, 3), tf.float32)
    frozen = convert_variables_to_constants_v2(tf.function(forward).get_concrete_function(images))
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    with silenced("tensorflow"):  # of its own deprecation
        counted = tf.compat.v1.profiler.profile(graph=frozen.graph, options=options)
    return counted.total_float_ops / 1e9
