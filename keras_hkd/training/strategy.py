"""Places variables on one device, or copies of them on all devices of one or several machines."""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

from keras_hkd.errors import InvalidValueError
from keras_hkd.training.workers import current_workers, join_workers

STRATEGIES = ("mirrored", "multi_worker")


def strategy_scope(name: str | None) -> contextlib.AbstractContextManager:
    """Return the scope in which models and optimizer are built for data-parallel training.

    Args:
        name: None for one device; "mirrored" for all GPUs of this machine, or all its logical CPU
            devices where there is no GPU; "multi_worker" for those of several processes, which find
            each other as `keras_hkd.training.join_workers` says.

    Returns:
        A context manager that gives the number of replicas. On TensorFlow these are
        `tf.distribute.MirroredStrategy` and `MultiWorkerMirroredStrategy`, on JAX
        `keras.distribution.DataParallel`, which stays set when the scope ends, since `fit` needs
        it too.

    Raises:
        ValueError: for another name, or a backend other than TensorFlow and JAX.

    Example:

    >>> with strategy_scope(None) as num_replicas:
    ...     num_replicas
    1
    """
    if name is None:
        return contextlib.nullcontext(1)
    if name not in STRATEGIES:
        known = " or ".join(f'"{one}"' for one in STRATEGIES)
        raise InvalidValueError(f"Expected strategy to be None, {known}. Received: {name!r}")
    return _scope(name)


@contextlib.contextmanager
def _scope(name: str) -> Iterator[int]:
    import keras

    join_workers(name)
    if keras.backend.backend() == "jax":
        distribution = _data_parallel()
        keras.distribution.set_distribution(distribution)
        yield distribution.num_model_replicas
        return
    from keras_hkd.checks import require_tensorflow

    require_tensorflow(f'strategy="{name}" (or KERAS_BACKEND=jax)')
    strategy = current_workers().strategy if name == "multi_worker" else _mirrored(_devices())
    with strategy.scope():
        yield strategy.num_replicas_in_sync


def _devices() -> tuple[str, ...]:
    """Name all GPUs, or else all logical CPU devices: by itself TensorFlow takes only the first."""
    import tensorflow

    for kind in ("GPU", "CPU"):
        devices = [device.name for device in tensorflow.config.list_logical_devices(kind)]
        if devices:
            break
    return tuple(devices)


@functools.cache
def _mirrored(devices: tuple[str, ...]) -> Any:
    """Make the strategy once per process: TensorFlow confuses the all-reduces of two."""
    import tensorflow

    return tensorflow.distribute.MirroredStrategy(devices)


@functools.cache
def _data_parallel() -> Any:
    """Make the distribution over all devices of all processes, which read their own rows."""
    import keras

    return keras.distribution.DataParallel(auto_shard_dataset=False)
