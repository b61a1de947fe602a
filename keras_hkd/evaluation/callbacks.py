"""Scores of held-out images while `fit` runs."""

from __future__ import annotations

import keras

from keras_hkd.evaluation.detector_scores import evaluate_detector

_NAMES = ("AP", "AP50", "AP75", "AR100", "MR2")


class DetectionMetrics(keras.callbacks.Callback):
    """Keras callback: detect in a dataset after an epoch and log `val_AP`, `val_AP50`, `val_MR2`.

    The figures join the epoch's logs, so that `History`, `CSVLogger`, `EarlyStopping(
    monitor="val_AP", mode="max")` and other callbacks that come after this one see them. No weight
    changes.

    Args:
        dataset: the held-out images, a `keras_hkd.data.Dataset`.
        image_size: `(height, width)` in pixels; the detector's own if None.
        batch_size: images at a time.
        every: epochs between two measurements.
        prefix: before each name in the logs.

    Raises:
        ValueError: `every` is below 1.

    Example:
        >>> from keras_hkd.data.annotations import Dataset, ImageAnnotation
        >>> held_out = Dataset((ImageAnnotation("", 1, 64, 48, [], []),), ("person",), "", "")
        >>> DetectionMetrics(held_out, every=5).every
        5
    """

    def __init__(self, dataset, image_size=None, batch_size=16, every=1, prefix="val_"):
        super().__init__()
        if every < 1:
            raise ValueError(f"`every` must be 1 epoch or more. Received: {every}")
        self.dataset = dataset
        self.image_size = image_size
        self.batch_size = batch_size
        self.every = every
        self.prefix = prefix

    def on_epoch_end(self, epoch, logs=None):
        """Measure the detector that is trained: of a Distiller the student."""
        if (epoch + 1) % self.every or logs is None:
            return
        detector = getattr(self.model, "student", self.model)
        scores = evaluate_detector(
            detector, self.dataset, self.image_size, self.batch_size, progress=False
        )
        logs.update({self.prefix + name: float(scores[name]) for name in _NAMES})
