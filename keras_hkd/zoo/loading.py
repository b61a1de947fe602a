"""Loads presets: in Keras to train and export, in TFLite to detect."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from keras_hkd.checked_folder import check_folder
from keras_hkd.inference.tflite_detector import TFLiteDetector
from keras_hkd.zoo.catalogue import preset_folder

if TYPE_CHECKING:
    from keras_hkd.detectors.detector import Detector

TWIN = "int8.tflite"
"""The file of a preset with which it detects without Keras."""


def from_preset(
    name_or_folder: str | os.PathLike, class_names: Sequence[str] | None = None
) -> Detector:
    """Load a preset as a Keras detector with float32 weights.

    Args:
        name_or_folder: one of `keras_hkd.list_presets()`, or a folder that
            `detector.save_to_preset` wrote.
        class_names: the classes to detect; None for the preset's own. A class that it does not
            know gets a new, untrained predictor: train the detector on. All other weights stay.

    Returns:
        A `keras_hkd.detectors.Detector`.

    Raises:
        FileNotFoundError: no such preset; the nearest names are shown.
        ValueError: files of it are missing, altered or damaged.
        TypeError: the family of the preset cannot take other classes.

    Example:

    >>> import tempfile, keras_hkd
    >>> detector = keras_hkd.detectors.build("yolo_v8_micro", image_size=(64, 64))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     detector.save_to_preset(f"{folder}/mine")
    ...     keras_hkd.from_preset(f"{folder}/mine").class_names
    ('person',)
    """
    from keras_hkd.detectors import load_detector

    detector = load_detector(preset_folder(name_or_folder))
    return detector if class_names is None else detector.with_classes(class_names)


def load_for_detection(
    name_or_folder: str | os.PathLike,
    image_size: tuple[int, int] | None = None,
    num_threads: int | None = None,
) -> Detector | TFLiteDetector:
    """Load a preset for detection alone: its TFLite file, which does not need Keras.

    Args:
        name_or_folder: see `from_preset`.
        image_size: `(height, width)` in pixels; the twin has one size, at others Keras detects.
        num_threads: number of threads of the TFLite interpreter; its own choice by default.

    Returns:
        A `TFLiteDetector`, or a Keras detector of a preset without twin of this size.

    Raises:
        FileNotFoundError: no such preset; the nearest names are shown.
        ValueError: files of it are missing, altered or damaged.
    """
    folder = preset_folder(name_or_folder)
    if TWIN in check_folder(folder):
        twin = TFLiteDetector(folder / TWIN, num_threads)
        if image_size is None or tuple(image_size) == twin.image_size:
            twin.name = folder.name
            return twin
    return from_preset(folder)
