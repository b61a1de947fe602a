"""Callbacks that measure a model on held-out images while `fit` runs."""

from __future__ import annotations

from typing import Any

import keras

from keras_hkd import checks
from keras_hkd.evaluation.classifier_scores import evaluate_classifier
from keras_hkd.evaluation.detector_scores import evaluate_detector


class HeldOutMetrics(keras.callbacks.Callback):
    """Keras callback: measure a model on a dataset after an epoch and log its figures.

    The figures join the epoch's logs, so that `History`, `CSVLogger`, `EarlyStopping` and other
    callbacks that come after this one see them. No weight changes. A subclass says how a model is
    measured (`measure`) and which figures are logged (`names`).

    Args:
        dataset: the held-out images, a `keras_hkd.data.Dataset`.
        image_size: `(height, width)` in pixels; the model's own if None.
        batch_size: images at a time.
        every: epochs between two measurements.
        prefix: before each name in the logs.

    Raises:
        ValueError: `every` is below 1.
    """

    names: tuple[str, ...] = ()

    def __init__(
        self,
        dataset: Any,
        image_size: tuple[int, int] | None = None,
        batch_size: int = 16,
        every: int = 1,
        prefix: str = "val_",
    ) -> None:
        super().__init__()
        checks.whole("every", every, low=1)
        self.dataset = dataset
        self.image_size = image_size
        self.batch_size = batch_size
        self.every = every
        self.prefix = prefix

    def measure(self, model: Any) -> dict[str, Any]:
        """Compute the figures of a model on the dataset, by name."""
        raise NotImplementedError(f"{type(self).__name__} must implement `measure`.")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measure the model that is trained: of a Distiller the student."""
        if (epoch + 1) % self.every or logs is None:
            return
        scores = self.measure(getattr(self.model, "student", self.model))
        logs.update({self.prefix + name: float(scores[name]) for name in self.names})


class DetectionMetrics(HeldOutMetrics):
    """Keras callback: detect in a dataset after an epoch and log `val_AP`, `val_AP50`, `val_MR2`.

    `EarlyStopping(monitor="val_AP", mode="max")` may follow it. For the arguments see
    `HeldOutMetrics`.

    Example:

    >>> from keras_hkd.data.annotations import ImageAnnotation
    >>> from keras_hkd.data.dataset import Dataset
    >>> held_out = Dataset((ImageAnnotation("", 1, 64, 48, [], []),), ("person",), "", "")
    >>> DetectionMetrics(held_out, every=5).every
    5
    """

    names = ("AP", "AP50", "AP75", "AR100", "MR2")

    def measure(self, model: Any) -> dict[str, Any]:
        return evaluate_detector(
            model, self.dataset, self.image_size, self.batch_size, progress=False
        )


class ClassificationMetrics(HeldOutMetrics):
    """Keras callback: classify a dataset after an epoch and log `val_accuracy`.

    Also `val_balanced_accuracy`. For the arguments see `HeldOutMetrics`; the dataset is a
    `keras_hkd.data.ClassificationDataset`.

    Example:

    >>> from keras_hkd.data import load_classification
    >>> held_out = load_classification("synthetic:val?num_images=4&num_classes=2")
    >>> ClassificationMetrics(held_out).names
    ('accuracy', 'balanced_accuracy')
    """

    names = ("accuracy", "balanced_accuracy")

    def measure(self, model: Any) -> dict[str, Any]:
        return evaluate_classifier(
            model, self.dataset, self.image_size, self.batch_size, progress=False
        )
