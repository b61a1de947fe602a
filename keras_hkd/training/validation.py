"""Average precision on held-out images while a run is under way."""

import keras

from keras_hkd.training.ema import averaged_weights


class Validation(keras.callbacks.Callback):
    """Keras callback: measure the student, with averaged weights, every few epochs.

    The figures join the epoch's logs as `val_AP`, `val_AP50` and so on. They are for the eye: no
    weights are chosen by them.

    Args:
        measure: called with the detector, gives a dict of numbers; others are left out.
        every: epochs between two measurements.
    """

    def __init__(self, measure, every):
        super().__init__()
        self.measure = measure
        self.every = every

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every:
            return
        with averaged_weights(self.model):
            figures = self.measure(getattr(self.model, "student", self.model))
        for name, value in figures.items():
            if name in ("AP", "AP50", "AP75", "AR100", "MR2"):
                logs[f"val_{name}"] = float(value)
