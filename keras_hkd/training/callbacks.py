"""Callbacks of a training run: a file of its history, and an error when it diverges."""

import math
import time
from collections.abc import Callable
from typing import Any

import keras

from keras_hkd.distillation.balance import describe_balance
from keras_hkd.errors import RunFailedError


class HistoryFile(keras.callbacks.Callback):
    """Keras callback: append every epoch's figures to a dict of lists, and write it out.

    Adds the learning rate at the end of the epoch and the seconds that it took. A figure that some
    epochs lack (validation) is None there, so that all lists have one entry per epoch.

    Args:
        history: dict of lists, extended in place.
        write: called with `history` after every epoch; None to write nothing.

    Example:

    >>> history = {"loss": [3.0]}
    >>> append_epoch(history, {"loss": 2.0, "val_AP": 0.1})
    >>> history
    {'loss': [3.0, 2.0], 'val_AP': [None, 0.1]}
    """

    def __init__(
        self, history: dict[str, list], write: Callable[[dict[str, list]], object] | None = None
    ) -> None:
        super().__init__()
        self.history = history
        self.write = write

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        figures = {name: float(value) for name, value in (logs or {}).items()}
        figures["learning_rate"] = float(self.model.optimizer.learning_rate)
        figures["seconds"] = time.perf_counter() - self.began
        append_epoch(self.history, figures)
        if self.write is not None:
            self.write(self.history)


def append_epoch(history: dict[str, list], figures: dict[str, float]) -> None:
    """Append one epoch's figures in place; None where a figure is absent in an epoch."""
    num_epochs = max(map(len, history.values()), default=0)
    for name in [*history, *(name for name in figures if name not in history)]:
        row = history.setdefault(name, [None] * num_epochs)
        row.append(figures.get(name))


class BalanceFile(keras.callbacks.Callback):
    """Keras callback: write out what a Distiller measured to balance its terms.

    That is what it measured before the first step of this session, unless a restored run had done
    so before, and below `rebalanced` what it measured after later epochs.

    Args:
        balance: `distiller.balance`.
        record: what the file holds already; {} for nothing.
        write: called with the whole record.
        say: called with a line about the first measurement.
    """

    def __init__(
        self,
        balance: Any,
        record: dict[str, Any],
        write: Callable[[dict[str, Any]], object],
        say: Callable[[str], object],
    ) -> None:
        super().__init__()
        self.balance, self.record, self.write, self.say = balance, record, write, say
        self._written: Any = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self.balance.record is not None:
            self._written = self.balance.record
            self.record = dict(self._written)
            self.write(self.record)
            self.say(describe_balance(self._written))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        found = self.balance.record
        if found is self._written:
            return
        self._written = found
        # An epoch that is done again after a kill is written once.
        before = [one for one in self.record.get("rebalanced", ()) if one["after_epoch"] <= epoch]
        self.record |= {"rebalanced": [*before, {"after_epoch": epoch + 1, **found}]}
        self.write(self.record)


class DivergedError(RunFailedError):
    """The training loss became NaN or infinite."""


class StopWhenDiverged(keras.callbacks.Callback):
    """Keras callback: raise as soon as the loss is NaN or infinite.

    Args:
        steps_per_epoch: batches in one epoch, to name the step in the whole run.
    """

    def __init__(self, steps_per_epoch: int) -> None:
        super().__init__()
        self.steps_per_epoch = steps_per_epoch
        self.epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        loss = float(logs.get("loss", 0.0))
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
