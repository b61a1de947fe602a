"""Detects people in photographs in one call, without TensorFlow or Keras."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from keras_hkd.errors import InvalidTypeError, InvalidValueError
from keras_hkd.inference.photos import load_photo
from keras_hkd.inference.prediction import predict_images
from keras_hkd.inference.tflite_detector import TFLiteDetector
from keras_hkd.zoo.catalogue import DEFAULT_PRESET
from keras_hkd.zoo.loading import load_for_detection


def detect(
    photos: str | os.PathLike | np.ndarray | Sequence,
    preset: str | os.PathLike = DEFAULT_PRESET,
    *,
    score_threshold: float = 0.3,
    num_threads: int | None = None,
) -> dict[str, np.ndarray] | list[dict[str, np.ndarray]]:
    """Detect people in photographs with a preset, without TensorFlow or Keras.

    Args:
        photos: the path of a picture, which its EXIF tag turns upright, or pixels as uint8
            `(height, width, 3)` RGB; or a list of these.
        preset: one of `keras_hkd.list_presets()`, or the folder of a preset.
        score_threshold: detections that score less are left out.
        num_threads: number of threads of the TFLite interpreter; its own choice by default.

    Returns:
        For one picture a dict of `boxes (n, 4)` xyxy pixels of the upright picture, `classes (n,)`
        and `confidence (n,)`, best first; for a list a list of such dicts.

    Raises:
        FileNotFoundError: no such preset; the nearest names are shown.
        ValueError: files of the preset were altered, or a picture cannot be read.
        TypeError: something else than a picture.

    Example:

    >>> import tempfile, keras_hkd
    >>> detector = keras_hkd.detectors.build("yolo_v8_micro", image_size=(64, 64), seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     detector.save_to_preset(f"{folder}/mine")
    ...     found = detect(np.zeros((48, 64, 3), np.uint8), f"{folder}/mine", score_threshold=0.99)
    >>> found["boxes"].shape
    (0, 4)
    """
    one = isinstance(photos, (str, os.PathLike, np.ndarray)) or not isinstance(photos, Iterable)
    several: Any = [photos] if one else photos
    pictures = [_pixels(photo) for photo in several]
    detector = load_for_detection(preset, num_threads=num_threads)
    # Its own threshold applies before ours; what lies below both is never computed.
    detector.score_threshold = min(detector.score_threshold, score_threshold)
    batch_size = 1 if isinstance(detector, TFLiteDetector) else min(max(len(pictures), 1), 8)
    found = predict_images(
        detector, pictures, batch_size=batch_size, score_threshold=score_threshold
    )
    return found[0] if one else found


def _pixels(photo: Any) -> np.ndarray:
    if isinstance(photo, np.ndarray):
        if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3:
            raise InvalidValueError(
                "Expected the pixels of a picture as a uint8 array (height, width, 3), RGB in 0 to "
                "255: take one picture of a batch, [..., :3] of RGBA, np.stack([grey] * 3, -1) of "
                "grey, and round shares of 1 times 255. Received: "
                f"{photo.dtype} of shape {photo.shape}"
            )
        return photo
    if isinstance(photo, (str, os.PathLike)):
        if os.path.isdir(photo):
            raise InvalidValueError(
                "Expected pictures: give keras_hkd.inference.find_images(folder), or use "
                f"`keras-hkd detect FOLDER`. Received: the folder {os.fspath(photo)!r}"
            )
        return load_photo(photo)
    raise InvalidTypeError(
        "Expected a picture's path or its pixels as a uint8 array (height, width, 3), or a list of "
        f"such. Received: {type(photo).__name__}"
    )
