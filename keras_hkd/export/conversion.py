"""Converts a frozen TensorFlow function to a TFLite model, at one of five precisions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from keras_hkd.errors import InvalidValueError
from keras_hkd.export.raw_heads import quiet_converter

QUANTIZATIONS = (None, "float16", "dynamic", "int8", "int16x8")
INPUT_TYPES = ("uint8", "int8", "float32")


def convert(
    function: Any,
    quantization: str | None = None,
    representative: Any = None,
    input_type: str = "uint8",
) -> bytes:
    """Convert with builtin operators only.

    Args:
        function: a frozen concrete function of one image.
        quantization: None for float32; "float16" weights; "dynamic" int8 weights, float
            activations; "int8" for integers from the image to int8 outputs; "int16x8" for int8
            weights and int16 activations between a float32 image and float32 outputs.
        representative: for "int8" and "int16x8", float32 images `(n, height, width, 3)` in
            [0, 255]; None where the graph carries ranges of its own (quantisation-aware training).
        input_type: type of the image of an "int8" model, one of `INPUT_TYPES`.

    Returns:
        The model; outputs in the order of the function's.

    Raises:
        ValueError: the network has an operator that cannot be converted; the converter's words
            name it.
    """
    try:
        with quiet_converter():
            return _converter(function, quantization, representative, input_type).convert()
    except Exception as error:
        raise InvalidValueError(
            "The TFLite converter refuses the network; the operator or layer that it cannot "
            f"convert is named here: {_main_lines(error)}"
        ) from error


def _converter(
    function: Any, quantization: str | None, representative: Any, input_type: str = "uint8"
) -> Any:
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if quantization is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantization == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantization == "int8":
        _integers(converter, representative, input_type)
    if quantization == "int16x8":
        wide = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        converter.target_spec.supported_ops = [wide, tf.lite.OpsSet.TFLITE_BUILTINS]
        converter.representative_dataset = lambda: ([image[None]] for image in representative)
    return converter


def int8_converter(function: Any, representative: Any) -> Any:
    """Make the converter of `convert(function, "int8", representative)` without running it.

    Args:
        function: a frozen concrete function of one image.
        representative: float32 images `(n, height, width, 3)` in [0, 255].
    """
    return _converter(function, "int8", representative)


def has_own_ranges(function: Any) -> bool:
    """Tell whether a graph holds the ranges of its activations, from quantisation-aware training.

    Args:
        function: a concrete function.
    """
    return any(node.op.startswith("FakeQuant") for node in function.graph.as_graph_def().node)


def _integers(converter: Any, representative: Any, input_type: str) -> None:
    converter.inference_input_type = tf.as_dtype(input_type)
    converter.inference_output_type = tf.int8
    if representative is None:
        return
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]

    def samples() -> Iterator[list[np.ndarray]]:
        for index, image in enumerate(representative):
            if index == 0:  # black and white in a corner: a pixel is then its own whole number
                image = image.copy()
                image[0, 0], image[0, 1] = 0.0, 255.0
            yield [image[None]]

    converter.representative_dataset = samples


def _main_lines(error: Exception, most: int = 6) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if "error:" in line or "op" in line.lower()]
    return " | ".join((told or lines)[:most])[:1200]
