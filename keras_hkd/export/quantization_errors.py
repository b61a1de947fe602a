"""Finds the layers that lose most when a detector is quantised to int8."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_hkd.detectors.detector import Detector
from keras_hkd.export.conversion import int8_converter
from keras_hkd.export.raw_heads import (
    checked_detector,
    checked_image_size,
    quiet_converter,
    raw_heads,
)
from keras_hkd.export.representative import representative_array

NUM_COMPARED = 8


def layer_errors(
    detector: Detector, representative_images: Any, image_size: tuple[int, int] | None = None
) -> list[dict]:
    """Measure the int8 rounding error of each layer, the largest first.

    `error = sqrt(mean((float - int8)^2)) / std(float)` of a layer's output, computed from the same
    quantised inputs: the layer's own loss, not what it inherits. A layer whose range is stretched
    by a few outliers has a large `scale` and a large error.

    Args:
        detector: a `Detector`.
        representative_images: see `export_tflite`.
        image_size: `(height, width)` in pixels; the detector's own by default.

    Returns:
        list of dicts of `layer`, `operator`, `error`, `scale` (value of one integer step).

    Raises:
        ValueError: see `export_tflite`.
    """
    detector = checked_detector(detector)
    size = checked_image_size(image_size, detector)
    images = representative_array(representative_images, size, antialias=detector.antialias)
    with quiet_converter():
        converter = int8_converter(raw_heads(detector, size), images)
        converter.inference_input_type = converter.inference_output_type = tf.float32
        compared = {
            "debug_dataset": lambda: ([image[None]] for image in images[:NUM_COMPARED]),
            "debug_options": tf.lite.experimental.QuantizationDebugOptions(
                layer_direct_compare_metrics={"error": _relative_error}
            ),
        }
        maker = tf.lite.experimental.QuantizationDebugger(converter=converter, **compared)
        # Only a debugger that is given a file keeps all tensors to read; one that is given a
        # converter reads memory that other layers have used since.
        debugger = tf.lite.experimental.QuantizationDebugger(
            quant_debug_model_content=maker.get_debug_quantized_model(), **compared
        )
        debugger.run()
    table = io.StringIO()
    debugger.layer_statistics_dump(table)
    table.seek(0)
    rows = [
        {
            "layer": _layer_name(row["tensor_name"]),
            "operator": row["op_name"],
            "error": float(row["error"]),
            "scale": float(row["scale"]),
        }
        for row in csv.DictReader(table)
    ]
    return sorted(rows, key=lambda row: -row["error"])


def describe(rows: Sequence[Mapping[str, Any]], most: int = 5) -> str:
    """Describe the worst layers for a message.

    Args:
        rows: what `layer_errors` gave.
        most: how many.

    Example:

    >>> describe([{"layer": "stem/mul", "operator": "MUL", "error": 0.25, "scale": 0.1}])
    'stem/mul (MUL): error 0.25 of its spread, a step is 0.1'
    """
    return "; ".join(
        f"{row['layer']} ({row['operator']}): error {row['error']:.2g} of its spread, "
        f"a step is {row['scale']:.2g}"
        for row in rows[:most]
    )


def _relative_error(
    expected: np.ndarray, quantized: np.ndarray, scale: np.ndarray, zero_point: np.ndarray
) -> float:
    received = (np.asarray(quantized, np.float64) - zero_point) * scale
    spread = max(float(np.std(expected)), 1e-9)
    return float(np.sqrt(np.mean((received - expected) ** 2))) / spread


def _layer_name(tensor_name: str) -> str:
    """Shorten a tensor's name to layer and operation."""
    return "/".join(tensor_name.split(";")[0].split("/")[-2:])
