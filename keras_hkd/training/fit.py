"""Trains a model in a run that can be interrupted and resumed."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich.console

from keras_hkd.base_model import compiles_by_default
from keras_hkd.data import Dataset, steps_per_epoch
from keras_hkd.distillation.balance import NUM_BATCHES
from keras_hkd.errors import InvalidValueError
from keras_hkd.folder_lock import folder_lock
from keras_hkd.training.batches import (
    check_cache,
    check_fits,
    check_mixing,
    check_people,
    run_batches,
)
from keras_hkd.training.callbacks import HistoryFile, StopWhenDiverged
from keras_hkd.training.checkpoint import Checkpoint, list_checkpoints
from keras_hkd.training.epoch_progress import RichProgress
from keras_hkd.training.identity import run_identity
from keras_hkd.training.optimizer import build_optimizer
from keras_hkd.training.run_folder import RunFolder
from keras_hkd.training.seeds import enable_determinism
from keras_hkd.training.settings import TrainingSettings
from keras_hkd.training.term_watchers import term_watchers
from keras_hkd.training.validation import averaged_metrics
from keras_hkd.training.workers import current_workers, losses_explained

if TYPE_CHECKING:
    import keras


def train_model(
    model: keras.Model,
    dataset: Dataset,
    settings: TrainingSettings,
    run_folder: RunFolder | str | Path,
    *,
    validation: Dataset | None = None,
    resume: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    title: str = "student",
) -> dict[str, list]:
    """Train a model alone, or a Distiller's student, with a checkpoint after every epoch.

    A run killed at any moment goes on, with `resume=True`, from its last whole checkpoint on the
    data that it would have seen. With `settings.deterministic` it ends with the weights of a run
    that was never killed, bit for bit; without, as near to them as two runs are to each other whose
    sums round in another order: the loss of the epoch after the break agrees to 1e-3, relatively.
    At the end the weights are their moving average, and the model's `image_size` is that of the
    settings.

    Of several workers (`strategy="multi_worker"`) each reads its share of every batch; the first
    one alone writes the run, measures on `validation` and shows progress. Where one is lost the
    others end with an error, and all go on from the last checkpoint when they are started again.

    Args:
        model: a `Detector`, `Classifier` or `Distiller`, built inside `training_scope(settings)`.
        dataset: the training images, for a classifier a `ClassificationDataset`.
        settings: how to train.
        run_folder: where `run.json`, `history.json` and the checkpoints go, and `balance.json`,
            what a Distiller measured to balance its terms.
        validation: images to measure on every `settings.validate_every` epochs.
        resume: go on with the run in `run_folder`, if there is one; with more `epochs` in the
            settings than it had, a finished run is made longer.
        callbacks: further Keras callbacks; what they add to an epoch's logs is recorded.
        title: what the progress bar calls it.

    Returns:
        The history: dict of lists with one entry per epoch, over all sessions of the run.

    Raises:
        RunFolderError: if the folder holds a run and `resume` is False.
        FolderInUseError: if another process trains there.
        DifferentRunError: if it holds a run with other settings, data, teacher or student, or one
            that was measured on other images.
        ValueError: if the images are not of the kind or the classes that the model learns, or have
            no box to learn from.
        CacheError: if the teacher is a cache that was built for other images or settings.
        DivergedError: if the loss becomes NaN or infinite.
        RunFailedError: if another worker was lost.
    """
    if settings.deterministic:
        enable_determinism()
    folder = run_folder if isinstance(run_folder, RunFolder) else RunFolder(run_folder)
    _check(model, dataset, validation, settings)
    identity = run_identity(model, dataset, settings)
    num_steps = steps_per_epoch(dataset, settings.batch_size)
    _set_image_size(model, settings.image_size)  # refused before the folder holds a run
    with _locked(folder), losses_explained():
        if resume and folder.writes:
            _check_length(folder, settings.epochs)
        folder.begin(identity, resume, getattr(validation, "content_hash", None))
        _compile(model, settings, num_steps)
        history: dict[str, list] = {}
        checkpoint = Checkpoint(folder.checkpoints, identity=identity, history=history)
        first_epoch = checkpoint.restore(model)
        if first_epoch == settings.epochs:
            model.optimizer.finalize_variable_values(model.trainable_variables)
            return history
        progress = _progress(title, settings, num_steps)
        watchers = _watchers(settings, num_steps, validation)
        say = functools.partial(progress.console.print, highlight=False, soft_wrap=True)
        watchers += term_watchers(model, dataset, settings, folder, say)
        record = HistoryFile(history, functools.partial(folder.write_json, "history.json"))
        batches = _batches(model, dataset, settings, first_epoch)
        with contextlib.closing(progress):
            model.fit(
                batches,
                epochs=settings.epochs,
                initial_epoch=first_epoch,
                steps_per_epoch=num_steps,
                callbacks=[*watchers, *callbacks, record, checkpoint, progress],
                shuffle=False,  # the batches come in the order of (seed, epoch)
                verbose=0,
            )
        return history


def _check(
    model: keras.Model, dataset: Dataset, validation: Dataset | None, settings: TrainingSettings
) -> None:
    """Refuse images and settings that do not fit the model or its teacher's cache."""
    for images in (dataset, validation):
        if images is not None:
            check_fits(model, images)
    check_cache(getattr(model, "teacher_cache", None), dataset, settings)
    check_mixing(model, dataset, settings)
    check_people(dataset, settings)


def _progress(title: str, settings: TrainingSettings, num_steps: int) -> RichProgress:
    """Make the progress bar, which the first worker alone shows."""
    return RichProgress(
        title,
        epochs=settings.epochs,
        steps_per_epoch=num_steps,
        batch_size=settings.batch_size,
        console=None if current_workers().is_first else rich.console.Console(quiet=True),
    )


def _watchers(
    settings: TrainingSettings, num_steps: int, validation: Dataset | None
) -> list[keras.callbacks.Callback]:
    """Make the callbacks that stop a diverged run, and measure."""
    watchers: list[keras.callbacks.Callback] = [StopWhenDiverged(num_steps)]
    every = settings.validate_every
    if validation is not None and every and current_workers().is_first:
        watchers.append(averaged_metrics(validation, settings.image_size, every))
    return watchers


def _batches(
    model: keras.Model, dataset: Dataset, settings: TrainingSettings, first_epoch: int
) -> Any:
    """Make the batches of this worker, once it has measured what all workers must know alike."""
    workers, cache = current_workers(), getattr(model, "teacher_cache", None)
    balance = getattr(model, "balance", None)
    if workers.count > 1 and balance is not None and not balance.is_measured:
        # On whole batches, as one process does: each worker finds the same.
        whole = run_batches(dataset, settings, first_epoch, cache)
        model.measure_balance(itertools.islice(whole, NUM_BATCHES))
        del whole  # and the images that it may hold
    return workers.distributed(run_batches(dataset, settings, first_epoch, cache, workers.share))


def _locked(folder: RunFolder) -> contextlib.AbstractContextManager:
    return folder_lock(folder.path) if folder.writes else contextlib.nullcontext()


def _check_length(folder: RunFolder, epochs: int) -> None:
    """Refuse to end a run before the epoch that it has reached."""
    newest = list_checkpoints(folder.checkpoints)[:1]
    done = max((int(path.stem.removeprefix("epoch_")) for path in newest), default=0)
    if done > epochs:
        raise InvalidValueError(
            f"The run in {folder.path} has done {done} epochs; `epochs` (--epochs) must be at "
            f"least that to resume it. Received: epochs={epochs}"
        )


def _set_image_size(model: keras.Model, image_size: tuple[int, int]) -> None:
    """Make the size of the training the default size of what is trained."""
    for trained in getattr(model, "peers", (getattr(model, "student", model),)):
        if getattr(trained, "image_size", None) is not None:
            trained.image_size = tuple(image_size)


def _compile(model: keras.Model, settings: TrainingSettings, num_steps: int) -> None:
    """Compile and build the optimizer, so that a checkpoint has variables to go into."""
    strategy = getattr(model, "distribute_strategy", None)
    with strategy.scope() if strategy is not None else contextlib.nullcontext():
        optimizer = build_optimizer(settings, num_steps)
        jit_compile = settings.jit_compile or compiles_by_default()
        model.compile(optimizer=optimizer, jit_compile=jit_compile)
        model.optimizer.build(model.trainable_variables)
