"""Writes a detector as an ONNX file, checked with onnxruntime."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_hkd import checks
from keras_hkd.detectors.detector import Detector
from keras_hkd.errors import InvalidValueError, MissingPackageError
from keras_hkd.export import verification
from keras_hkd.export.graph_post_processing import post_processing_function
from keras_hkd.export.raw_heads import (
    checked_detector,
    checked_image_size,
    grid_of,
    keras_heads,
    quiet_converter,
    raw_heads,
)
from keras_hkd.export.representative import sample_images
from keras_hkd.export.tflite import (
    OUTPUT_NAMES,
    ExportReport,
    make_suppression,
    replacing_file,
)
from keras_hkd.logs import silenced

OPSET = 17


def export_onnx(
    detector: Detector,
    path: str | os.PathLike,
    image_size: tuple[int, int] | None = None,
    nms: bool = True,
    max_detections: int | None = 100,
    score_threshold: float | None = None,
    iou_threshold: float | None = None,
    *,
    opset: int = OPSET,
    batch_size: int | None = 1,
) -> ExportReport:
    """Write a detector as an ONNX file, through tf2onnx, and run it with onnxruntime.

    Input and outputs are those of `export_tflite`, all float32. The file appears at `path` only
    once its raw heads agree with Keras, and its detections with the detector's. Needs
    `pip install "keras_hkd[onnx]"`.

    Args:
        detector: a `Detector`, a raw KerasCV detector, or a Distiller, whose student is taken.
        path: path of the file, which must end in `.onnx`.
        image_size: `(height, width)` in pixels, multiples of 32; the detector's own by default.
        nms: False leaves decoding and suppression out.
        max_detections: length of the result.
        score_threshold: detections that score at most this are dropped; the detector's by default.
        iou_threshold: overlap above which the lower score is dropped; the detector's by default.
        opset: version of ONNX's operators.
        batch_size: images at a time; another number than 1, or None for any, needs `nms=False`,
            since suppression in the file is of one image.

    Returns:
        An `ExportReport`.

    Raises:
        ImportError: tf2onnx or onnxruntime is not installed.
        TypeError: not a detector.
        ValueError: a bad argument.
        ExportError: the file does not run or disagrees with Keras.
        OSError: the path cannot be written.
    """
    _require_packages()
    detector = checked_detector(detector)
    size = checked_image_size(image_size, detector)
    suppression = make_suppression(detector, max_detections, score_threshold, iou_threshold)
    if batch_size is not None:
        checks.whole("batch_size", batch_size, low=1)
    if nms and batch_size != 1:
        raise InvalidValueError(
            "Suppression in an ONNX file is of one image at a time: leave it out with nms=False "
            f"(--no-nms) for batches. Received: batch_size={batch_size}"
        )
    grid, sample = grid_of(detector, size), sample_images(size, max(2, batch_size or 1))
    heads = raw_heads(detector, size, batch_size)
    with replacing_file(path, ".onnx") as partial:
        names = detector.head_names
        network = _to_onnx(heads, ["images"], names, opset)
        session = _session(network)
        step = batch_size or len(sample)
        sample = sample[: len(sample) // step * step]
        batches = [sample[start : start + step] for start in range(0, len(sample), step)]
        outputs = [session.run(None, {"images": batch}) for batch in batches]
        received = {
            name: np.concatenate([one[i] for one in outputs]) for i, name in enumerate(names)
        }
        expected = keras_heads(detector, sample)
        errors = verification.check_heads(expected, received, 1e-3, "ONNX file")
        if nms:
            post = post_processing_function(grid, suppression, detector.num_classes, names)
            tail = _to_onnx(post, names, OUTPUT_NAMES, opset)
            run = _runner(_session(tail), names)
            verification.check_post_processing(detector, grid, suppression, run)
            network = _joined(network, tail, names)
            _session(network).run(None, {"images": sample[:1]})
        partial.write_bytes(network.SerializeToString())
    operators = {}
    for node in network.graph.node:
        operators[node.op_type] = operators.get(node.op_type, 0) + 1
    path = pathlib.Path(path)
    return ExportReport(path, path.stat().st_size, dict(sorted(operators.items())), errors)


def _require_packages() -> None:
    try:
        import onnxruntime  # noqa: F401
        import tf2onnx  # noqa: F401
    except ImportError as error:
        raise MissingPackageError(
            'ONNX export needs tf2onnx and onnxruntime: pip install "keras_hkd[onnx]"'
        ) from error


def _to_onnx(function: Any, inputs: Sequence[str], outputs: Sequence[str], opset: int) -> Any:
    """Convert a frozen function to an ONNX model with the given names of inputs and outputs."""
    import tf2onnx

    with quiet_converter(), silenced("tf2onnx"):
        model, _ = tf2onnx.convert.from_graph_def(
            function.graph.as_graph_def(),
            input_names=[tensor.name for tensor in function.inputs],
            output_names=[tensor.name for tensor in function.outputs],
            opset=opset,
        )
    names = dict(zip((tensor.name for tensor in function.inputs), inputs, strict=True))
    names |= dict(zip((tensor.name for tensor in function.outputs), outputs, strict=True))
    _rename(model.graph, names)
    return model


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in (*graph.input, *graph.output):
        value.name = names.get(value.name, value.name)


def _joined(network: Any, tail: Any, names: Sequence[str]) -> Any:
    import onnx.compose

    tail = onnx.compose.add_prefix(tail, "post/", rename_inputs=False, rename_outputs=False)
    return onnx.compose.merge_models(network, tail, io_map=[(name, name) for name in names])


def _runner(session: Any, names: Sequence[str]) -> Callable[..., Any]:
    return lambda *heads: session.run(None, dict(zip(names, heads, strict=True)))


def _session(model: Any) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime raises a dozen types of its own
        raise verification.ExportError(
            f"onnxruntime refuses the file: {str(error)[:400]}"
        ) from error
