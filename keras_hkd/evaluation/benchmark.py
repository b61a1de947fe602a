"""Benchmarks detectors on this machine: Keras and TFLite files, several numbers of threads."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_hkd.detectors.detector import Detector
from keras_hkd.errors import InvalidValueError, MissingFileError
from keras_hkd.evaluation.latency import measure_latencies
from keras_hkd.evaluation.model_cost import count_gflops, count_parameters
from keras_hkd.evaluation.peak_memory import measure_peak_memory_mib
from keras_hkd.inference.prediction import input_size

TFLITE_PRECISIONS = ("float32", "float16", "int8")


@dataclasses.dataclass(frozen=True)
class _Row:
    name: str
    path: pathlib.Path
    threads: int | None
    call: Callable[[], object]
    cost: dict


def benchmark_models(
    models: Mapping[str, str | os.PathLike],
    *,
    image_size: tuple[int, int] | None = None,
    threads: Sequence[int] = (1, 2),
    rounds: int = 50,
    warm_up: int = 5,
    memory: bool = True,
    nms: bool = True,
    progress: bool = True,
) -> list[dict]:
    """Measure latency, size, memory and operations of detectors, timed in turn in one run.

    Of a `.tflite` model the interpreter is timed, on an image in the model's own type.

    Args:
        models: name -> file: a `.keras` detector, or any `.tflite` model.
        image_size: `(height, width)` in pixels for `.keras` files; their own if None.
        threads: numbers of threads that LiteRT (with XNNPACK) is given in turn. TensorFlow takes
            all cores for a `.keras` file.
        rounds: timed rounds.
        warm_up: rounds before these.
        memory: whether to measure peak memory, in a process of its own for each row.
        nms: whether a `.keras` detector decodes and suppresses in the timed call. A `.tflite` file
            does what it was exported to do.
        progress: whether to show a progress bar.

    Returns:
        list of dicts, one for each model and number of threads: `model`, `runtime` ("keras" or
        "tflite"), `threads` (None for Keras), `median_ms`, `p90_ms`, `speed_up` (times as fast as
        the first `.tflite` at as many threads; Keras: at the most threads), `size_bytes`,
        `parameters`, `gflops` (nan where they cannot be counted) and `peak_memory_mib`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: another kind of file, a damaged one, or one without a fixed input size.
    """
    rows = []
    for name, path in models.items():
        rows += _rows(name, path, threads, image_size, nms)
    latencies = measure_latencies(
        {_key(row): row.call for row in rows}, rounds, warm_up, progress=progress
    )
    found = []
    for row in rows:
        reference = _reference(row, rows)
        found.append(
            {
                "model": row.name,
                "runtime": "keras" if row.threads is None else "tflite",
                "threads": row.threads,
                "median_ms": latencies.median_ms(_key(row)),
                "p90_ms": latencies.p90_ms(_key(row)),
                "speed_up": latencies.speed_up(_key(row), _key(reference)),
                "size_bytes": row.path.stat().st_size,
                **row.cost,
            }
        )
        if memory:
            found[-1]["peak_memory_mib"] = measure_peak_memory_mib(
                row.path, row.threads, image_size
            )
    return found


def export_precisions(
    detector: Detector,
    folder: str | os.PathLike,
    image_size: tuple[int, int] | None = None,
    nms: bool = True,
    representative: Any = None,
) -> dict:
    """Export a detector to TFLite files in float32, float16 and int8.

    Args:
        detector: a Keras detector.
        folder: where the files go.
        image_size: `(height, width)` in pixels; the detector's own if None.
        nms: whether suppression is part of the files.
        representative: images for the int8 file, see `export_tflite`; drawn scenes if None, which
            serve for times, not for accuracy.

    Returns:
        dict "float32", "float16", "int8" -> path; "int8" alone of a quantised detector.
    """
    from keras_hkd.compression import is_quantized
    from keras_hkd.export import export_tflite
    from keras_hkd.export.representative import sample_images

    size = input_size(detector, image_size)
    files = {}
    for precision in ("int8",) if is_quantized(detector) else TFLITE_PRECISIONS:
        images = None
        if precision == "int8":
            images = sample_images(size, 32) if representative is None else representative
        files[precision] = pathlib.Path(folder) / f"{precision}.tflite"
        export_tflite(
            detector,
            files[precision],
            size,
            quantization=None if precision == "float32" else precision,
            representative_images=images,
            nms=nms,
        )
    return files


def _rows(
    name: str,
    path: str | os.PathLike,
    threads: Sequence[int],
    image_size: tuple[int, int] | None,
    nms: bool,
) -> list[_Row]:
    path = pathlib.Path(path)
    if not path.is_file():
        raise MissingFileError(f"{path}: there is no such file; expected .keras or .tflite.")
    if path.suffix == ".tflite":
        return [_tflite_row(name, path, number) for number in threads]
    if path.suffix == ".keras":
        return [_keras_row(name, path, image_size, nms)]
    raise InvalidValueError(f"Expected a .keras or .tflite file. Received: {path}")


def _tflite_row(name: str, path: pathlib.Path, threads: int) -> _Row:
    from keras_hkd.export.tflite_file import read_model
    from keras_hkd.inference.tflite_runner import TFLiteRunner

    read_model(path)  # a damaged file is named here
    runner = TFLiteRunner(path.read_bytes(), threads)
    return _Row(name, path, threads, runner.prepared(*runner.example_inputs()), {})


def _keras_row(
    name: str, path: pathlib.Path, image_size: tuple[int, int] | None, nms: bool
) -> _Row:
    import keras

    from keras_hkd.detectors import load_detector

    model = detector = load_detector(path)
    size = input_size(detector, image_size)
    images = np.random.default_rng(0).uniform(0, 255, (1, *size, 3)).astype(np.float32)
    cost = {"parameters": count_parameters(detector), "gflops": count_gflops(detector, size)}
    if not nms:
        outputs = detector.network.output
        heads = [outputs[head] for head in detector.head_names]
        model = keras.Model(detector.network.inputs[0], heads)
    return _Row(name, path, None, lambda: model.predict_on_batch(images), cost)


def _key(row: _Row) -> str:
    return f"{row.name} {row.threads}"


def _reference(row: _Row, rows: Sequence[_Row]) -> _Row:
    """Return the first TFLite row of as many threads; for Keras that of the most threads."""
    wanted = row.threads or max((other.threads or 0 for other in rows), default=0)
    same = [other for other in rows if other.threads == wanted]
    return same[0] if same else rows[0]
