"""Measures the averaged weights on held-out images during a run."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from keras_hkd.data.classification import ClassificationDataset
from keras_hkd.data.dataset import Dataset
from keras_hkd.evaluation.callbacks import (
    ClassificationMetrics,
    DetectionMetrics,
    HeldOutMetrics,
)
from keras_hkd.metrics import FewImagesWarning
from keras_hkd.training.ema import averaged_weights

if TYPE_CHECKING:
    import keras


class OfAveragedWeights(HeldOutMetrics):
    """Makes a `HeldOutMetrics` judge the averaged weights, which training will end with.

    The figures are for information: no weights are chosen by them.
    """

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        with averaged_weights(self.model), warnings.catch_warnings():
            warnings.simplefilter("ignore", FewImagesWarning)  # a trend is all that is looked for
            super().on_epoch_end(epoch, logs)


class AveragedDetectionMetrics(OfAveragedWeights, DetectionMetrics):
    """`DetectionMetrics` of the averaged weights."""


class AveragedClassificationMetrics(OfAveragedWeights, ClassificationMetrics):
    """`ClassificationMetrics` of the averaged weights."""


def averaged_metrics(
    dataset: Dataset | ClassificationDataset, image_size: tuple[int, int], every: int
) -> keras.callbacks.Callback:
    """Make the callback that measures on a dataset of either kind; see `HeldOutMetrics`."""
    kind: type[HeldOutMetrics] = AveragedDetectionMetrics
    if isinstance(dataset, ClassificationDataset):
        kind = AveragedClassificationMetrics
    return kind(dataset, image_size, every=every)
