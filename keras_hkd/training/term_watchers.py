"""Callbacks of a distillation: shares of the gradient through training, and what balances them."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras

from keras_hkd.data import steps_per_epoch
from keras_hkd.distillation.balance import NUM_BATCHES, RebalanceTerms
from keras_hkd.distillation.gradient_norms import GradientShares
from keras_hkd.errors import InvalidValueError
from keras_hkd.training.batches import run_batches
from keras_hkd.training.callbacks import BalanceFile

if TYPE_CHECKING:
    from keras_hkd.training.run_folder import RunFolder
    from keras_hkd.training.settings import TrainingSettings

_NUM_IMAGES = 8
_NUM_MEASUREMENTS = 10
_STEPS_APART = 200
"""A measurement takes about two steps, and should take a hundredth of the training."""


def term_watchers(
    model: keras.Model,
    dataset: Any,
    settings: TrainingSettings,
    folder: RunFolder,
    say: Callable[[str], object],
) -> list[keras.callbacks.Callback]:
    """Make the callbacks that `shares_every` and `rebalance_after` ask for.

    Args:
        model: what is trained.
        dataset: the training images.
        settings: the run's.
        folder: of the run, which gets `balance.json`.
        say: called with lines for the user.

    Raises:
        ValueError: a setting asks for terms, or balanced terms, that the model has not.
    """
    balance = getattr(model, "balance", None)
    has_terms = bool(getattr(model, "term_names", ()))
    if settings.shares_every and not has_terms:
        raise InvalidValueError(
            "shares_every asks for the shares of the terms of a distillation. "
            f"Received: shares_every={settings.shares_every} for {model.name!r}, which has none"
        )
    if settings.rebalance_after and balance is None:
        raise InvalidValueError(
            "rebalance_after asks for terms that are balanced, which a model trained alone and one "
            "whose weights are numbers have not. "
            f"Received: rebalance_after={settings.rebalance_after} for {model.name!r}"
        )
    found: list[keras.callbacks.Callback] = []
    every = _every(settings, dataset, balanced=balance is not None) if has_terms else 0
    if every or settings.rebalance_after:
        # Decoded when they are asked for: no second cache of all images.
        cache = getattr(model, "teacher_cache", None)
        drawn = run_batches(dataset, dataclasses.replace(settings, cache="none"), 0, cache)
        if every:
            batch = next(iter(drawn.take(1)))
            images, labels = keras.tree.map_structure(lambda one: one[:_NUM_IMAGES], batch)
            found.append(GradientShares(images, labels, every))
        if settings.rebalance_after:
            batches = drawn.take(NUM_BATCHES)
            found.append(RebalanceTerms(batches, settings.rebalance_after, say))
    if balance is not None:
        file = folder.path / "balance.json"
        record = folder.read_json(file.name) if file.exists() else {}
        write = functools.partial(folder.write_json, file.name)
        found.append(BalanceFile(balance, record, write, say))
    return found


def _every(settings: TrainingSettings, dataset: Any, balanced: bool) -> int:
    """Return the number of epochs between measurements of shares, 0 for none."""
    if settings.shares_every is not None:
        return settings.shares_every
    if not balanced:
        return 0
    apart = math.ceil(_STEPS_APART / steps_per_epoch(dataset, settings.batch_size))
    return max(apart, settings.epochs // _NUM_MEASUREMENTS, 1)
