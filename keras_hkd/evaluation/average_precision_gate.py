"""Refuses an exported file whose average precision is too far below that of the detector."""

from __future__ import annotations

import os
from typing import Any

from keras_hkd import metrics
from keras_hkd.data.dataset import Dataset
from keras_hkd.errors import InvalidValueError
from keras_hkd.evaluation.prediction import predict_dataset
from keras_hkd.export import ExportError, TFLiteDetector
from keras_hkd.inference.prediction import Predictor

MAX_DROP = 0.01


class AveragePrecisionGate:
    """Measures a detector and the file made of it, and refuses a file that lost too much.

    Pass it to `export_tflite(..., gate=...)`. A refused file is not written; for int8 the message
    names the layers whose ranges cost most.

    Args:
        detector: the Keras `Detector` that is exported.
        dataset: labelled images that neither was calibrated on, a `keras_hkd.data.Dataset`.
        max_drop: largest loss of AP (0.5:0.95) that passes, as a fraction: 0.01 is one point.
        force: let the file pass all the same; the figures stand in `results`.
        representative_images: representative images of the export, for the report on layers; None
            leaves it out.
        batch_size: images at a time for the Keras detector.

    Attributes:
        results: after a call a dict of `AP_keras`, `AP_file`, `drop`, `max_drop`, `passed` and,
            where a file was refused, `layers`, see `layer_errors`.

    Raises:
        ValueError: `max_drop` is negative, or the dataset holds no image.

    Example:

    >>> from keras_hkd.data.drawn.scenes import synthetic_dataset
    >>> gate = AveragePrecisionGate(None, synthetic_dataset(2, (64, 64), seed=0), max_drop=0.02)
    >>> gate.max_drop
    0.02
    """

    def __init__(
        self,
        detector: Any,
        dataset: Dataset,
        max_drop: float = MAX_DROP,
        force: bool = False,
        representative_images: Any = None,
        batch_size: int = 16,
    ) -> None:
        if not max_drop >= 0:
            raise InvalidValueError(f"`max_drop` must be 0 or more. Received: {max_drop!r}")
        if len(dataset) == 0:
            raise InvalidValueError(
                "`dataset` must hold images to measure AP on. Received: no image"
            )
        self.detector = detector
        self.dataset = dataset
        self.max_drop = float(max_drop)
        self.force = bool(force)
        self.representative_images = representative_images
        self.batch_size = batch_size
        self.results: dict[str, Any] = {}

    def __call__(self, path: str | os.PathLike) -> None:
        """Measure the file at `path`.

        Raises:
            ExportError: AP drops by more than `max_drop`, or cannot be measured at all.
        """
        file = TFLiteDetector(path)
        before = self._average_precision(self.detector, file.image_size)
        after = self._average_precision(file, file.image_size)
        drop = before - after
        passed = drop <= self.max_drop  # nan, where nobody counts, does not pass
        self.results = {
            "AP_keras": before,
            "AP_file": after,
            "drop": drop,
            "max_drop": self.max_drop,
            "passed": passed,
        }
        if not passed and not self.force:
            raise ExportError(self._message(file))

    def _average_precision(self, detector: Predictor, image_size: tuple[int, int] | None) -> float:
        results = predict_dataset(detector, self.dataset, image_size, self.batch_size)
        truth = metrics.as_ground_truth(self.dataset)
        found = metrics.as_detections(results, truth)
        return float(metrics.coco_average_precision(truth, found)["AP"])

    def _message(self, file: TFLiteDetector) -> str:
        from keras_hkd.compression import is_quantized

        found, trained = self.results, is_quantized(self.detector)
        advice = "train longer" if trained else "train quantisation-aware (`keras_hkd.quantize`)"
        message = (
            f"AP falls from {found['AP_keras']:.4f} to {found['AP_file']:.4f} on "
            f"{len(self.dataset)} images, by more than {self.max_drop:g}. Nothing was written; "
            f"force it to write the file all the same, or {advice}."
        )
        calibrated = file.quantization == "int8" and not trained
        if calibrated and self.representative_images is not None:
            from keras_hkd.export.quantization_errors import describe, layer_errors

            rows = layer_errors(self.detector, self.representative_images, file.image_size)
            found["layers"] = rows
            message += f" Ranges that cost most: {describe(rows)}."
        return message
