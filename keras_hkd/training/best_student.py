"""The best student of a Distiller's run, as a `.keras` file."""

from __future__ import annotations

import os
from typing import Any

import keras

from keras_hkd.training.ema import averaged_weights


class BestStudent(keras.callbacks.ModelCheckpoint):
    """Keras callback: keep the student of the epoch that was best, without its teacher.

    What `keras.callbacks.ModelCheckpoint` is for a model that is saved whole. Of an optimizer that
    averages weights the average is saved, which is what training ends with. On a detector or
    classifier that is trained alone it saves that.

    Args:
        filepath: path of the `.keras` file; may hold fields such as `{epoch:02d}`.
        monitor: the figure of an epoch's logs that says how good it was, such as `"val_loss"`, or
            `"val_AP"` with `keras_hkd.evaluation.DetectionMetrics` before it.
        mode: `"min"`, `"max"` or `"auto"`: `"max"` for figures such as `"val_AP"`.
        **kwargs: options of `keras.callbacks.ModelCheckpoint`; `save_best_only=False` saves every
            epoch.

    Example:

    >>> BestStudent("best.keras", monitor="val_AP").save_best_only
    True
    """

    of_student = True

    def __init__(
        self,
        filepath: str | os.PathLike,
        monitor: str = "val_loss",
        mode: str = "auto",
        **kwargs: Any,
    ) -> None:
        rising = ("AP", "AP50", "AP75", "AR100", "accuracy")
        if mode == "auto" and monitor.removeprefix("val_").endswith(rising):
            mode = "max"
        kwargs.setdefault("save_best_only", True)
        super().__init__(filepath, monitor=monitor, mode=mode, **kwargs)

    @property
    def model(self) -> Any:
        """The student of the Distiller that is trained, or the model itself."""
        whole = super().model
        return getattr(whole, "student", whole)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        with averaged_weights(super().model):
            super().on_epoch_end(epoch, logs)
