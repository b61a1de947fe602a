"""Writes a detector as a TensorFlow SavedModel, for servers."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_hkd.atomic_write import replacing
from keras_hkd.detectors.detector import Detector
from keras_hkd.errors import PathInUseError
from keras_hkd.export import verification
from keras_hkd.export.raw_heads import (
    checked_detector,
    checked_image_size,
    keras_heads,
)
from keras_hkd.export.representative import sample_images
from keras_hkd.export.tflite import make_suppression
from keras_hkd.inference.post_processing import Suppression
from keras_hkd.tensors import Tensor


def export_saved_model(
    detector: Detector,
    path: str | os.PathLike,
    image_size: tuple[int, int] | None = None,
    nms: bool = True,
    max_detections: int | None = 100,
    score_threshold: float | None = None,
    iou_threshold: float | None = None,
) -> dict[str, float]:
    """Write a detector as a SavedModel folder whose signature `serve` takes batches of any size.

    `images (b, height, width, 3)` float32 in [0, 255], letterboxed, give what `predict` gives:
    `boxes (b, N, 4)` xyxy pixels, `classes`, `confidence`, `num_detections`; or with `nms=False`
    the raw heads, `class_logits` and `box_outputs`. The folder appears at `path` only once it was
    loaded again and agreed with Keras.

    Args:
        detector: a `Detector`, a raw KerasCV detector, or a Distiller, whose student is taken.
        path: path of the folder, which must not hold anything yet.
        image_size: `(height, width)` in pixels, multiples of 32; the detector's own by default.
        nms: False leaves decoding and suppression out.
        max_detections: N above.
        score_threshold: detections that score at most this are dropped; the detector's by default.
        iou_threshold: overlap above which the lower score is dropped; the detector's by default.

    Returns:
        dict from output to its largest difference from Keras on two drawn scenes.

    Raises:
        TypeError: not a detector.
        ValueError: a bad argument.
        ExportError: the folder disagrees with Keras.
        OSError: the path cannot be written, or holds something.
    """
    detector = checked_detector(detector)
    size = checked_image_size(image_size, detector)
    suppression = make_suppression(detector, max_detections, score_threshold, iou_threshold)
    path = pathlib.Path(path)
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise PathInUseError(f"'{path}' exists: name a new folder, or remove it first.")
    serve = _endpoint(detector, size, suppression, nms)
    with replacing(path) as partial:
        archive = keras.export.ExportArchive()
        archive.track(detector)
        signature = [tf.TensorSpec((None, *size, 3), tf.float32, name="images")]
        archive.add_endpoint("serve", serve, input_signature=signature)
        archive.write_out(str(partial), verbose=False)
        return _compare(detector, partial, sample_images(size), serve, nms)


def _endpoint(
    detector: Detector, size: tuple[int, int], suppression: Suppression, nms: bool
) -> Callable[[Tensor], Any]:
    def serve(images: Tensor) -> Any:
        outputs = detector(images, training=False)
        if not nms:
            return detector.raw_heads(outputs)
        return detector.detections(
            outputs,
            size,
            max_detections=suppression.max_detections,
            iou_threshold=suppression.iou_threshold,
            score_threshold=suppression.score_threshold,
        )

    return serve


def _compare(
    detector: Detector, folder: str | os.PathLike, images: Tensor, serve: Any, nms: bool
) -> dict[str, float]:
    loaded = tf.saved_model.load(str(folder))
    received = {name: np.asarray(v) for name, v in loaded.serve(tf.constant(images)).items()}
    expected = keras_heads(detector, images) if not nms else serve(tf.constant(images))
    expected = {name: np.asarray(value) for name, value in expected.items()}
    differences = {
        name: float(np.abs(received[name].astype(float) - expected[name]).max())
        for name in expected
    }
    if not all(
        np.allclose(received[name], expected[name], rtol=1e-3, atol=1e-2) for name in expected
    ):
        raise verification.ExportError(
            f"The SavedModel does not agree with Keras: {differences}. Nothing was written."
        )
    return differences
