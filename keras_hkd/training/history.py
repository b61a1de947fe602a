"""What every epoch measured, in memory and on disk."""

import time

import keras


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

    def __init__(self, history, write=None):
        super().__init__()
        self.history = history
        self.write = write

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
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
