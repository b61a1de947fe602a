"""Shows the progress of a run: a bar on a terminal, a line per epoch in a log."""

import time
from typing import Any

import keras
import rich.console
import rich.progress

from keras_hkd.progress import error_console, progress_bar


class RichProgress(keras.callbacks.Callback):
    """Keras callback: epoch, loss, images per second and time left.

    Args:
        title: what is being trained.
        epochs: epochs of the whole run.
        steps_per_epoch: batches in one epoch.
        batch_size: images in one batch.
        console: a rich console; the error stream by default, so that output can be piped.
    """

    def __init__(
        self,
        title: str,
        *,
        epochs: int,
        steps_per_epoch: int,
        batch_size: int,
        console: rich.console.Console | None = None,
    ) -> None:
        super().__init__()
        self.title = title
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch
        self.batch_size = batch_size
        self.console = console or error_console()
        self.bar: rich.progress.Progress | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.done = 0
        self.first_done: float | None = None
        if self.console.is_terminal:
            self.bar = progress_bar(self.console)
            total = self.epochs * self.steps_per_epoch
            self.task = self.bar.add_task(self.title, total=total, figures="")
            self.bar.start()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.done += 1
        if self.first_done is None:  # the first step compiles: its time says nothing of the rest
            self.first_done = time.perf_counter()
        if self.bar is not None:
            completed = self.epoch * self.steps_per_epoch + batch + 1
            self.bar.update(self.task, completed=completed, figures=self._figures(logs))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.bar is None:
            line, rate = self._figures(logs), self._steps_per_second()
            if rate:
                steps_left = (self.epochs - epoch - 1) * self.steps_per_epoch
                line += f", {steps_left / rate / 60:.1f} min left"
            self.console.print(f"{self.title}: {line}", highlight=False, soft_wrap=True)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.close()

    def close(self) -> None:
        """Give the terminal back; also to be called when training ends with an error."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def _figures(self, logs: dict[str, Any] | None) -> str:
        logs = logs or {}
        shown = [f"epoch {self.epoch + 1}/{self.epochs}"]
        for name in ("loss", "val_AP", "val_accuracy"):
            if name in logs:
                shown.append(f"{name} {float(logs[name]):.4g}")
        rate = self._steps_per_second()
        if rate:
            shown.append(f"{rate * self.batch_size:.1f} images/s")
        return ", ".join(shown)

    def _steps_per_second(self) -> float | None:
        """Compute the mean rate of this session since its first step; None before the second."""
        if self.done < 2 or self.first_done is None:
            return None
        return (self.done - 1) / max(time.perf_counter() - self.first_done, 1e-9)
