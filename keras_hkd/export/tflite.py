"""Writes a detector as a TFLite file: rescaling, network, decoding and suppression in one graph."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import keras_hkd
from keras_hkd.atomic_write import replacing
from keras_hkd.boxes.grid import Grid
from keras_hkd.detectors.detector import Detector
from keras_hkd.errors import InvalidValueError, NotAFileError
from keras_hkd.export import tflite_file, verification
from keras_hkd.export.conversion import INPUT_TYPES, QUANTIZATIONS, convert, has_own_ranges
from keras_hkd.export.graph_post_processing import post_processing_function
from keras_hkd.export.raw_heads import (
    checked_detector,
    checked_image_size,
    grid_of,
    keras_heads,
    raw_heads,
)
from keras_hkd.export.representative import representative_array, sample_images
from keras_hkd.export.tflite_metadata import (
    BUFFER_NAME,
    ModelCard,
    append_files,
    model_metadata,
)
from keras_hkd.inference.post_processing import Suppression
from keras_hkd.inference.tflite_runner import TFLiteRunner
from keras_hkd.messages import did_you_mean
from keras_hkd.tensors import Tensor

FORMAT = 1
DETECTIONS = {
    "location": "Boxes: ymin, xmin, ymax, xmax as fractions of the image.",
    "category": "Class of each box, a line of the label file.",
    "score": "Score of each box in 0..1, best first.",
    "number of detections": "How many of the boxes count.",
}
OUTPUT_NAMES = ("boxes", "classes", "scores", "count")
RAW_HEADS = {
    "class_logits": "A logit for each anchor and class; its sigmoid is the score.",
    "box_outputs": "Coded box of each anchor; the grid in keras_hkd.json says how and where.",
    "objectness": "A logit for each anchor; scores are multiplied by its sigmoid.",
}


@dataclasses.dataclass(frozen=True)
class ExportReport:
    """What was written, and how it was found right.

    Attributes:
        path: the file.
        size_bytes: its length.
        operators: operator -> count; TFLite only.
        head_errors: error of each raw head against Keras, as a share of its spread.
    """

    path: pathlib.Path
    size_bytes: int
    operators: dict[str, int]
    head_errors: dict[str, float]


def export_tflite(
    detector: Detector,
    path: str | os.PathLike,
    image_size: tuple[int, int] | None = None,
    quantization: str | None = None,
    representative_images: Any = None,
    nms: bool = True,
    max_detections: int | None = 100,
    score_threshold: float | None = None,
    iou_threshold: float | None = None,
    *,
    input_type: str | None = None,
    card: ModelCard | None = None,
    gate: Callable[[Any], object] | None = None,
) -> ExportReport:
    """Write a detector as a TFLite file that runs on a phone as it is.

    Images go in as pixels 0..255 (float32; uint8 for int8), letterboxed to `image_size`. Out come
    boxes (1, N, 4) as ymin, xmin, ymax, xmax in 0..1, classes (1, N), scores (1, N) and count (1,),
    all float32, as MediaPipe Tasks reads them. Only builtin operators are used. An int8 file is
    integer from the image to the raw heads, each head with a range of its own; decoding and
    suppression after them are float. The file appears at `path` only once it has run and its raw
    heads agree with Keras.

    Args:
        detector: a `Detector`, a raw KerasCV RetinaNet or YOLOV8Detector, or a Distiller, whose
            student is taken.
        path: path of the file, which should end in `.tflite`.
        image_size: `(height, width)` in pixels, multiples of 32; the detector's own by default.
        quantization: None for float32, "float16" (half the size), "dynamic" (int8 weights),
            "int8", or "int16x8" (int8 weights, int16 activations), larger and slower, where int8
            costs too much.
        representative_images: for "int8" and "int16x8": an array (n, height, width, 3) in [0, 255],
            a dataset, a folder, a `tf.data.Dataset` or a function that yields [images]; about 100
            images of the kind that it will see. A detector trained quantisation-aware knows its
            ranges and needs none.
        nms: False leaves decoding and suppression out: class_logits (1, anchors, classes),
            box_outputs (1, anchors, 4 or 64) and, in families that have it, objectness (1, anchors,
            1), int8 in an int8 file, and the grid in the metadata.
        max_detections: N above.
        score_threshold: detections that score at most this are dropped; the detector's by default.
        iou_threshold: overlap above which the lower score is dropped; the detector's by default.
        input_type: type of the image of an int8 file: "uint8" by default, "int8" (the pixel less
            128, for TFLite Micro and many accelerators) or "float32".
        card: a `ModelCard`, what the metadata says about name, author, licence, ...
        gate: called with the temporary path of the finished file before it is renamed, to refuse it
            by raising: `keras_hkd.evaluation.AveragePrecisionGate`.

    Returns:
        An `ExportReport`.

    Raises:
        TypeError: not a detector.
        ValueError: a bad argument, or a network that TFLite has no operators for.
        ExportError: the file does not run or disagrees with Keras.
        OSError: the path cannot be written.

    Example:

    >>> import tempfile
    >>> student = keras_hkd.detectors.build("yolo_v8_micro", image_size=(64, 64))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report = export_tflite(student, f"{folder}/student.tflite", quantization="float16")
    ...     "NON_MAX_SUPPRESSION_V4" in report.operators
    True
    """
    detector = checked_detector(detector)
    size = checked_image_size(image_size, detector)
    suppression = make_suppression(detector, max_detections, score_threshold, iou_threshold)
    check_quantization(quantization)
    input_type = checked_input_type(input_type, quantization)
    with replacing_file(path, ".tflite") as partial:
        heads = raw_heads(detector, size)
        _check_ranges(detector, heads, quantization)
        images = None
        if representative_images is not None:
            images = representative_array(representative_images, size, antialias=detector.antialias)
        elif quantization in ("int8", "int16x8") and not has_own_ranges(heads):
            raise InvalidValueError(
                f'quantization="{quantization}" needs `representative_images`: an array (n, '
                "height, width, 3) in [0, 255], a dataset or a folder, about 100 images of the "
                "kind that the detector will see. Received: None"
            )
        ranges = None if has_own_ranges(heads) else images  # what training found is kept
        network = convert(heads, quantization, ranges, input_type)
        sample = sample_images(size) if images is None else images[:4]
        errors = _check_network(detector, network, sample, quantization)
        grid = grid_of(detector, size)
        content = finish(detector, network, grid, suppression, nms, quantization, card)
        partial.write_bytes(content)
        _check_file(partial, sample, nms)
        if gate is not None:
            gate(partial)
    return ExportReport(
        pathlib.Path(path), len(content), tflite_file.list_operators(content), errors
    )


def make_suppression(
    detector: Detector,
    max_detections: int | None,
    score_threshold: float | None,
    iou_threshold: float | None,
) -> Suppression:
    """Make the suppression settings of a file; what is None is taken from the detector."""
    return Suppression(
        detector.max_detections if max_detections is None else max_detections,
        detector.score_threshold if score_threshold is None else score_threshold,
        detector.nms_iou_threshold if iou_threshold is None else iou_threshold,
    )


def check_quantization(quantization: str | None) -> None:
    """Refuse a precision that there is not.

    Raises:
        ValueError: with those that there are.
    """
    if quantization not in QUANTIZATIONS:
        hint = did_you_mean(quantization, QUANTIZATIONS[1:])
        raise InvalidValueError(
            f"`quantization` must be one of {QUANTIZATIONS}.{hint} Received: {quantization!r}"
        )


def checked_input_type(input_type: str | None, quantization: str | None) -> str:
    """Return the type of the image that a file takes.

    Args:
        input_type: what the user asked for; None for uint8 in an int8 file, else float32.
        quantization: one of `QUANTIZATIONS`.

    Raises:
        ValueError: an unknown type, or whole numbers for a file that is not int8.
    """
    if input_type is None:
        return "uint8" if quantization == "int8" else "float32"
    if input_type not in INPUT_TYPES or (quantization != "int8" and input_type != "float32"):
        raise InvalidValueError(
            f'`input_type` must be one of {INPUT_TYPES} with quantization="int8", and "float32" '
            f"otherwise. Received: input_type={input_type!r}, quantization={quantization!r}"
        )
    return input_type


@contextlib.contextmanager
def replacing_file(path: str | os.PathLike, suffix: str) -> Iterator[pathlib.Path]:
    """Write to a temporary file beside `path`, which replaces `path` if nothing raises.

    Args:
        path: the file to be.
        suffix: that its name should have, and that the temporary one has.

    Raises:
        ValueError: the name ends otherwise.
        OSError: the folder cannot be made or written; said before any work is done.
    """
    path = pathlib.Path(path)
    if path.suffix != suffix:
        raise InvalidValueError(f"`path` must end in {suffix}. Received: '{path}'")
    if path.is_dir():
        raise NotAFileError(f"'{path}' is a folder; name a {suffix} file.")
    with replacing(path) as partial:
        partial.touch()
        yield partial


def _check_ranges(detector: Detector, heads: Tensor, quantization: str | None) -> None:
    """Refuse precisions that do not fit how the detector was trained."""
    if has_own_ranges(heads) and quantization != "int8":
        raise InvalidValueError(
            f"Detector '{detector.name}' is quantised: it was trained for int8. Export it with "
            'quantization="int8", or export the float student. '
            f"Received: quantization={quantization!r}"
        )


def _check_network(
    detector: Detector, network: Any, images: Tensor, quantization: str | None
) -> dict[str, float]:
    runner = TFLiteRunner(network)
    outputs = [runner.run(image) for image in images]
    expected = keras_heads(detector, images)
    received = {
        name: np.concatenate([one[i] for one in outputs]) for i, name in enumerate(expected)
    }
    what = f"{quantization or 'float32'} TFLite file"
    return verification.check_heads(expected, received, verification.LIMITS[quantization], what)


def finish(
    detector: Detector,
    network: Any,
    grid: Grid,
    suppression: Suppression,
    nms: bool,
    quantization: str | None,
    card: ModelCard | None,
) -> bytes:
    """Give a converted network its decoding and suppression, names, metadata and label file.

    Args:
        detector: whose network it is.
        network: the converted model with raw heads, as bytes.
        grid: of the detector at the size of the file.
        suppression: settings of the file.
        nms: whether to add decoding and suppression.
        quantization: one of `QUANTIZATIONS`, as the file will say.
        card: a `ModelCard` or None.

    Raises:
        ValueError: the network needs an operator that no plain interpreter has.
        ExportError: decoding in the file disagrees with Keras.
    """
    card = ModelCard() if card is None else card
    model = tflite_file.read_model(network)
    if nms:
        tail = convert(
            post_processing_function(grid, suppression, detector.num_classes, detector.head_names)
        )
        runner = TFLiteRunner(tail)
        verification.check_post_processing(detector, grid, suppression, runner.run)
        model = tflite_file.join_models(model, tflite_file.read_model(tail))
    tflite_file.name_tensors(model, ["images"], OUTPUT_NAMES if nms else detector.head_names)
    outputs = list(DETECTIONS.items())
    if not nms:
        outputs = [(name, RAW_HEADS[name]) for name in detector.head_names]
    about = model_metadata(card, grid.image_size, outputs, suppression.score_threshold)
    tflite_file.set_buffer(model, BUFFER_NAME, about)
    tflite_file.drop_empty_buffers(model)
    content = tflite_file.pack_model(model)
    foreign = tflite_file.foreign_operators(content)
    if foreign:
        raise InvalidValueError(
            f"The network needs {', '.join(foreign)}, which no plain TFLite interpreter has."
        )
    ours = {
        "format": FORMAT,
        "keras_hkd": keras_hkd.__version__,
        "class_names": list(detector.class_names),
        "image_size": list(grid.image_size),
        "antialias": detector.antialias,
        "quantization": quantization,
        "nms": nms,
        "suppression": dataclasses.asdict(suppression),
        "grid": grid.to_json(),
        "card": dataclasses.asdict(card),
    }
    return append_files(content, ours, detector.class_names)


def _check_file(path: pathlib.Path, images: Tensor, nms: bool) -> None:
    """Run the finished file: outputs of the right shapes, finite, and at least readable by us."""
    outputs = TFLiteRunner(path.read_bytes()).run(images[0])
    if not all(np.isfinite(value).all() for value in outputs):
        raise verification.ExportError("The finished file gives values that are not finite.")
    if nms and not 0 <= int(outputs[3][0]) <= outputs[2].shape[1]:
        raise verification.ExportError("The finished file counts more detections than it gives.")
