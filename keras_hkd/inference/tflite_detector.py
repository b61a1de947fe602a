"""A `.tflite` file of ours with the face of a Keras detector."""

from __future__ import annotations

import pathlib

import numpy as np

from keras_hkd.boxes.grid import Grid
from keras_hkd.errors import InvalidValueError
from keras_hkd.inference.post_processing import Suppression, detections
from keras_hkd.inference.tflite_metadata import read_metadata
from keras_hkd.inference.tflite_runner import TFLiteRunner


class TFLiteDetector:
    """Detects with a file that `export_tflite` wrote; neither TensorFlow nor Keras is loaded.

    Everything it needs to know stands in the file: image size, class names, thresholds, and for
    files of raw heads the grid.

    Args:
        path: the `.tflite` file.
        num_threads: of the interpreter; its own choice by default.

    Attributes:
        image_size: `(height, width)` in pixels.
        class_names: of the classes reported.
        antialias: whether photos are smoothed when they shrink to `image_size`.
        quantization: None, "float16", "dynamic" or "int8".
        nms: whether suppression is part of the file.
        score_threshold: what scores at most this is not reported. It can be raised; in a file of
            raw heads also lowered.
        size_bytes: of the file.

    Raises:
        FileNotFoundError: no such file.
        NotTFLiteError: a ValueError: damaged, not TFLite, or not of this package.

    Example:
        >>> import tempfile, keras_hkd
        >>> student = keras_hkd.detectors.build("yolo_v8_micro", image_size=(64, 64))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = keras_hkd.export_tflite(student, f"{folder}/student.tflite").path
        ...     found = TFLiteDetector(file).predict(np.zeros((2, 64, 64, 3)))
        >>> found["boxes"].shape
        (2, 100, 4)
    """

    def __init__(self, path, num_threads=None):
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
        """Most detections of one image."""
        return self.suppression.max_detections

    def predict(self, images, batch_size=None, verbose=None, steps=None) -> dict[str, np.ndarray]:
        """Detections, as a Keras detector's `predict` gives them.

        Args:
            images: `(b, height, width, 3)` RGB in [0, 255] of the file's size. Photos of any size:
                `keras_hkd.evaluation.predict_images(detector, photos)`.
            batch_size: taken for Keras's sake; the file sees one image at a time.
            verbose: taken for Keras's sake.
            steps: taken for Keras's sake.

        Returns:
            dict of `boxes (b, n, 4)` xyxy pixels of the images given, `classes (b, n)` int32,
            `confidence (b, n)` and `num_detections (b,)`, best first, padded with -1.

        Raises:
            ValueError: images of another shape.
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

    def predict_on_batch(self, images) -> dict[str, np.ndarray]:
        """The same as `predict`."""
        return self.predict(images)

    def raw_outputs(self, image) -> list[np.ndarray]:
        """Outputs of the file for one image, in its order, as float32.

        Args:
            image: `(height, width, 3)` in [0, 255].
        """
        return self._runner.run(image)

    def _detect(self, image):
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

    def _padded(self, found):
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
