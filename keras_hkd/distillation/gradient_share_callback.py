"""Logs the gradient share of each term while a Distiller trains."""

import keras

from keras_hkd.distillation.gradient_norms import gradient_shares


class GradientShares(keras.callbacks.Callback):
    """Adds `<term>_gradient_share` of every term to the logs of every n-th epoch.

    Args:
        images: one batch `(batch, height, width, 3)` to measure on.
        labels: its labels.
        every: epochs between measurements.
    """

    def __init__(self, images, labels, every=1):
        super().__init__()
        self.images, self.labels, self.every = images, labels, every

    def on_epoch_end(self, epoch, logs=None):
        if logs is None or (epoch + 1) % self.every:
            return
        shares = gradient_shares(self.model, self.images, self.labels)
        logs.update({f"{name}_gradient_share": share for name, share in shares.items()})
