"""Progress of a run on the error stream: a bar on a terminal, a line per epoch in a log."""

import time

import keras

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

    def __init__(self, title, *, epochs, steps_per_epoch, batch_size, console=None):
        super().__init__()
        self.title = title
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch
        self.batch_size = batch_size
        self.console = console or error_console()
        self.bar = None

    def on_train_begin(self, logs=None):
        self.done, self.first_done = 0, None
        if self.console.is_terminal:
            self.bar = progress_bar(self.console)
            total = self.epochs * self.steps_per_epoch
            self.task = self.bar.add_task(self.title, total=total, figures="")
            self.bar.start()

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self.done += 1
        if self.first_done is None:  # the first step compiles: its time says nothing of the rest
            self.first_done = time.perf_counter()
        if self.bar is not None:
            completed = self.epoch * self.steps_per_epoch + batch + 1
            self.bar.update(self.task, completed=completed, figures=self._figures(logs))

    def on_epoch_end(self, epoch, logs=None):
        if self.bar is None:
            line, rate = self._figures(logs), self._steps_per_second()
            if rate:
                steps_left = (self.epochs - epoch - 1) * self.steps_per_epoch
                line += f", {steps_left / rate / 60:.1f} min left"
            self.console.print(f"{self.title}: {line}", highlight=False, soft_wrap=True)

    def on_train_end(self, logs=None):
        self.close()

    def close(self):
        """Give the terminal back; also to be called when training ends with an error."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def _figures(self, logs):
        shown = [f"epoch {self.epoch + 1}/{self.epochs}"]
        for name in ("loss", "val_AP", "val_accuracy"):
            if name in (logs or {}):
                shown.append(f"{name} {float(logs[name]):.4g}")
        rate = self._steps_per_second()
        if rate:
            shown.append(f"{rate * self.batch_size:.1f} images/s")
        return ", ".join(shown)

    def _steps_per_second(self):
        """Mean over this session since its first step; None before there is a second one."""
        if self.done < 2:
            return None
        return (self.done - 1) / max(time.perf_counter() - self.first_done, 1e-9)
