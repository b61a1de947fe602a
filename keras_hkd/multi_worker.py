"""Adds what Keras 3.15 lacks where several processes or devices share a model.

Under `tf.distribute.MultiWorkerMirroredStrategy` its `fit` fails twice, both in
`keras.src.backend.tensorflow.trainer`: its symbolic build adds up, over the workers, the labels of
a batch as if they were one tensor, and its reduction of a step's logs takes their first axis, which
a scalar has not. Both are replaced here while a model of ours is fitted or evaluated, and nowhere
else. `tests/test_multi_worker.py` fits a plain Keras model without this, and fails as soon as a
release of Keras makes it unnecessary.
"""

from __future__ import annotations

import contextlib
import functools
import unittest.mock
from collections.abc import Iterator
from typing import Any

import keras

from keras_hkd.tensors import Tensor


def over_workers(model: Any) -> bool:
    """Tell whether a model's variables are mirrored over several processes by `tf.distribute`.

    Args:
        model: a Keras model.

    Example:

    >>> over_workers(keras.Sequential([keras.layers.Dense(1)]))
    False
    """
    if keras.backend.backend() != "tensorflow":
        return False
    strategy = getattr(model, "_distribute_strategy", None)
    return bool(getattr(getattr(strategy, "extended", None), "_in_multi_worker_mode", bool)())


@contextlib.contextmanager
def fit_over_workers(model: Any) -> Iterator[None]:
    """Make Keras's `fit` and `evaluate` work for a model that several workers share.

    For any other model nothing changes. The logs of a step are its means over all replicas of all
    workers, so that every worker sees the same and none goes another way than the others.

    Args:
        model: a Keras model with all its variables built.
    """
    if not over_workers(model):
        yield
        return
    from keras.src.backend.tensorflow import trainer

    kept = trainer.reduce_per_replica
    with (
        unittest.mock.patch.object(
            trainer, "reduce_per_replica", functools.partial(_reduced, kept)
        ),
        unittest.mock.patch.object(model, "_maybe_symbolic_build", _needs_no_build),
    ):
        yield


def _reduced(keras_way: Any, values: Any, strategy: Any, reduction: str) -> Any:
    """Average a step's logs over all replicas of all workers, in one exchange of a few numbers."""
    if reduction == "concat":
        return keras_way(values, strategy, reduction)
    import tensorflow as tf

    scalars = keras.tree.flatten(values)
    if not scalars:
        return values

    def stacked(*logs: Tensor) -> Tensor:
        return tf.stack([tf.cast(value, tf.float32) for value in logs])

    means = strategy.reduce("MEAN", strategy.run(stacked, args=tuple(scalars)), axis=None)
    return keras.tree.pack_sequence_as(values, tf.unstack(means, num=len(scalars)))


def _needs_no_build(**data: Any) -> None:
    """Stand for a symbolic build: our models are built, and `BaseModel` builds the optimizer."""


@contextlib.contextmanager
def as_one_process(model: Any) -> Iterator[bool]:
    """Let a model that several workers share predict in this process alone.

    Each worker holds all weights. Without this, every worker would have to call `predict` at the
    same time, and each would get what all of them found. On JAX the same holds for the devices of
    `keras.distribution.DataParallel`, among which a batch of one image cannot be divided: the first
    device of the process predicts.

    Args:
        model: a Keras model.

    Yields:
        Whether the model is one that several workers share; for any other nothing changes.
    """
    if keras.backend.backend() == "jax" and keras.distribution.distribution() is not None:
        with _on_first_device(model):
            yield True
        return
    if not over_workers(model):
        yield False
        return
    strategy = model._distribute_strategy
    try:
        model._distribute_strategy = None
        yield True
    finally:
        model._distribute_strategy = strategy


@contextlib.contextmanager
def _on_first_device(model: Any) -> Iterator[None]:
    """Take the copies of the variables on one device of JAX, while there is no distribution."""
    import jax

    distribution = keras.distribution.distribution()
    variables = {id(one): one for one in (*model.variables, *model.metrics_variables)}.values()
    kept = [(variable, variable._value, variable._layout) for variable in variables]
    try:
        keras.distribution.set_distribution(None)
        for variable, value, _ in kept:
            # A copy, since Keras gives what it predicts with away to JAX.
            here = jax.numpy.array(value.addressable_data(0), copy=True)
            variable._value, variable._layout = here, None
        yield
    finally:
        for variable, value, layout in kept:
            variable._value, variable._layout = value, layout
        keras.distribution.set_distribution(distribution)
