"""Measures the peak memory of a model in a process of its own."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import numpy as np

from keras_hkd.errors import RunFailedError

_CHILD = "from keras_hkd.evaluation.peak_memory import _child; _child()"


def measure_peak_memory_mib(
    path: str | os.PathLike,
    num_threads: int | None = None,
    image_size: tuple[int, int] | None = None,
) -> float:
    """Measure by how much loading a model and one prediction raise the peak memory of a process.

    What the libraries themselves take is not counted. For a `.keras` file the graph that TensorFlow
    compiles is.

    Args:
        path: a `.tflite` file (any) or a `.keras` detector.
        num_threads: number of threads of the TFLite interpreter; its own choice if None.
        image_size: `(height, width)` in pixels of a `.keras` detector; its own if None.

    Returns:
        MiB (2^20 bytes).

    Raises:
        RuntimeError: the process failed; its last words are in the message.
    """
    words = [str(pathlib.Path(path).absolute()), num_threads, *(image_size or ())]
    ended = subprocess.run(
        [sys.executable, "-c", _CHILD, *map(str, words)], capture_output=True, text=True
    )
    if ended.returncode:
        raise RunFailedError(f"Memory of {path} could not be measured: {ended.stderr[-600:]}")
    return float(ended.stdout.split()[-1])


def peak_bytes() -> int:
    """Return the peak resident memory of this process in bytes."""
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


def _child() -> None:
    file, num_threads, *size = sys.argv[1:]
    if file.endswith(".tflite"):
        grown = _grown_by_tflite(file, None if num_threads == "None" else int(num_threads))
    else:
        grown = _grown_by_keras(file, (int(size[0]), int(size[1])) if size else None)
    print(grown / 2**20)


def _grown_by_tflite(file: str, num_threads: int | None) -> int:
    import ai_edge_litert.interpreter  # noqa: F401 (so that the library itself is not counted)

    from keras_hkd.inference.tflite_runner import TFLiteRunner

    before = peak_bytes()
    runner = TFLiteRunner(pathlib.Path(file).read_bytes(), num_threads)
    runner.run(*runner.example_inputs())
    return peak_bytes() - before


def _grown_by_keras(file: str, image_size: tuple[int, int] | None) -> int:
    from keras_hkd.detectors import load_detector
    from keras_hkd.inference.prediction import input_size

    before = peak_bytes()
    detector = load_detector(file)
    height, width = input_size(detector, image_size)
    detector.predict_on_batch(np.zeros((1, height, width, 3), np.float32))
    return peak_bytes() - before
