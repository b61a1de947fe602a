"""Runs `.tflite` files that the package exported, with the interface of a Keras detector."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_hkd.boxes.grid import Grid
from keras_hkd.errors import InvalidValueError
from keras_hkd.inference.post_processing import Suppression, detections
from keras_hkd.inference.tflite_metadata import read_metadata
from keras_hkd.inference.tflite_runner import TFLiteRunner


class TFLiteDetector:
    """Detects objects with a file that `export_tflite` wrote, without TensorFlow and Keras.

    Image size, class names, thresholds and, for files of raw heads, the grid of anchors are read
    from the file.

    Args:
        path: the `.tflite` file.
        num_threads: threads of the interpreter; its own choice by default.

    Attributes:
        image_size: `(height, width)` in pixels.
        class_names: names of the classes that it reports.
        antialias: whether photos are smoothed when they shrink to `image_size`.
        quantization: None, "float16", "dynamic" or "int8".
        nms: whether non-maximum suppression is part of the file.
        score_threshold: detections that score at most this are not reported. It can be raised; in
            a file of raw heads it can also be lowered.
        size_bytes: size of the file.

    Raises:
        FileNotFoundError: no such file.
        NotTFLiteError: the file is damaged, is no TFLite model, or was not written by keras_hkd.

    Example:

    >>> import tempfile, keras_hkd
    >>> student = keras_hkd.detectors.build("yolo_v8_micro", image_size=(64, 64))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = keras_hkd.export_tflite(student, f"{folder}/student.tflite").path
    ...     found = TFLiteDetector(file).predict(np.zeros((2, 64, 64, 3)))
    >>> found["boxes"].shape
    (2, 100, 4)
    """

    def __init__(self, path: str | os.PathLike, num_threads: int | None = None) -> None:
        self.path = pathlib.Path(path)
        about = read_metadata(self.path)
        self.name = self.path.stem
        self.image_size = tuple(about["image_size"])
        self.class_names = tuple(about["class_names"])
        self.antialias = about.get("antialias", True)
        self.quantization = about["quantization"]
        self.nms = about["nms"]
        self.grid = Grid.from_json(about["grid"])
        self.card = about["card"]
        self.suppression = Suppression(**about["suppression"])
        self.score_threshold = self.suppression.score_threshold
        content = self.path.read_bytes()
        self.size_bytes = len(content)
        self._runner = TFLiteRunner(content, num_threads)

    @property
    def max_detections(self) -> int:
        """Largest number of detections of one image."""
        return self.suppression.max_detections

    def predict(
        self,
        images: np.ndarray,
        batch_size: int | None = None,
        verbose: Any = None,
        steps: int | None = None,
    ) -> dict[str, np.ndarray]:
        """Detect objects in a batch, as the `predict` of a Keras detector does.

        Args:
            images: `(b, height, width, 3)` RGB in [0, 255] of the file's size. Photos of any size:
                `keras_hkd.evaluation.predict_images(detector, photos)`.
            batch_size: ignored; the interpreter runs one image at a time.
            verbose: ignored.
            steps: ignored.

        Returns:
            dict of `boxes (b, n, 4)` xyxy pixels of the images given, `classes (b, n)` int32,
            `confidence (b, n)` and `num_detections (b,)`, best first, padded with -1.

        Raises:
            ValueError: the images have another shape.
        """
        images = np.asarray(images)
        expected = (*self.image_size, 3)
        if images.ndim != 4 or images.shape[1:] != expected:
            raise InvalidValueError(
                f"'{self.path.name}' takes images of shape (b, {expected[0]}, {expected[1]}, 3): "
                "letterbox photos with `keras_hkd.evaluation.predict_images`, or export the "
                f"detector for another `image_size`. Received: {images.shape}"
            )
        return self._padded([self._detect(image) for image in images])

    def predict_on_batch(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Detect objects in a batch; the same as `predict`.

        Args:
            images: `(b, height, width, 3)` RGB in [0, 255].
        """
        return self.predict(images)

    def raw_outputs(self, image: np.ndarray) -> list[np.ndarray]:
        """Run the model on one image and return its outputs.

        Args:
            image: `(height, width, 3)` RGB in [0, 255].

        Returns:
            The outputs in the order of the file, as float32.
        """
        return self._runner.run(image)

    def _detect(self, image: np.ndarray) -> dict[str, np.ndarray]:
        if not self.nms:
            logits, outputs, *objectness = (head[0] for head in self.raw_outputs(image))
            suppression = Suppression(
                self.max_detections, self.score_threshold, self.suppression.iou_threshold
            )
            return detections(logits, outputs, self.grid, suppression, *objectness)
        boxes, classes, scores, count = self.raw_outputs(image)
        scores = scores[0, : int(count[0])]
        num = int((scores > self.score_threshold).sum())
        height, width = self.image_size
        pixels = boxes[0, :num][:, [1, 0, 3, 2]] * np.array([width, height, width, height])
        return {"boxes": pixels, "classes": classes[0, :num], "confidence": scores[:num]}

    def _padded(self, found: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
        size = (len(found), self.max_detections)
        result = {
            "boxes": np.full((*size, 4), -1.0, np.float32),
            "classes": np.full(size, -1, np.int32),
            "confidence": np.full(size, -1.0, np.float32),
        }
        for row, one in enumerate(found):
            for name, values in one.items():
                result[name][row, : len(values)] = values
        counts = [len(one["confidence"]) for one in found]
        return {**result, "num_detections": np.array(counts, np.int32)}
