"""Stops a run whose loss is no number any more, before a checkpoint of it is written."""

import math

import keras


class DivergedError(RuntimeError):
    """The training loss became NaN or infinite."""


class StopWhenDiverged(keras.callbacks.Callback):
    """Keras callback: raise as soon as the loss is NaN or infinite.

    Args:
        steps_per_epoch: batches in one epoch, to name the step in the whole run.
    """

    def __init__(self, steps_per_epoch):
        super().__init__()
        self.steps_per_epoch = steps_per_epoch
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        loss = float((logs or {}).get("loss", 0.0))
        if math.isfinite(loss):
            return
        step = self.epoch * self.steps_per_epoch + batch + 1
        parts = ", ".join(f"{name} {float(value):g}" for name, value in logs.items())
        raise DivergedError(
            f"The loss is {loss} at step {step} (epoch {self.epoch + 1}, batch {batch + 1} of "
            f"{self.steps_per_epoch}): {parts}. No checkpoint of this epoch was written. Lower the "
            "learning rate or the weights of the distillation losses, lengthen the warm-up, or, "
            "with mixed precision, train in float32."
        )
