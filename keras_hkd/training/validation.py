"""Average precision on held-out images while a run is under way."""

import warnings

from keras_hkd.evaluation import DetectionMetrics
from keras_hkd.metrics import FewImagesWarning
from keras_hkd.training.ema import averaged_weights


class AveragedDetectionMetrics(DetectionMetrics):
    """`DetectionMetrics` of the averaged weights, which are those that training will end with.

    The figures are for the eye: no weights are chosen by them.
    """

    def on_epoch_end(self, epoch, logs=None):
        with averaged_weights(self.model), warnings.catch_warnings():
            warnings.simplefilter("ignore", FewImagesWarning)  # a trend is all that is looked for
            super().on_epoch_end(epoch, logs)
