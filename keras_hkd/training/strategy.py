"""Places variables on one device, or mirrors them on all devices of this machine."""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

from keras_hkd.errors import InvalidValueError


def strategy_scope(name: str | None) -> contextlib.AbstractContextManager:
    """Return the scope in which models and optimizer are built for data-parallel training.

    Args:
        name: None for one device; "mirrored" for `tf.distribute.MirroredStrategy` over all GPUs,
            or over all logical CPU devices where there is no GPU.

    Returns:
        A context manager that gives the number of replicas.

    Raises:
        ValueError: for another name, or a backend other than TensorFlow.

    Example:

    >>> with strategy_scope(None) as num_replicas:
    ...     num_replicas
    1
    """
    if name is None:
        return contextlib.nullcontext(1)
    if name != "mirrored":
        raise InvalidValueError(f'Expected strategy to be None or "mirrored". Received: {name!r}')
    return _mirrored_scope()


@contextlib.contextmanager
def _mirrored_scope() -> Iterator[int]:
    from keras_hkd.checks import require_tensorflow

    require_tensorflow('strategy="mirrored"')
    import tensorflow

    # MirroredStrategy() alone would take only the first of several logical CPU devices.
    for kind in ("GPU", "CPU"):
        devices = [device.name for device in tensorflow.config.list_logical_devices(kind)]
        if devices:
            break
    strategy = _mirrored(tuple(devices))
    with strategy.scope():
        yield strategy.num_replicas_in_sync


@functools.cache
def _mirrored(devices: tuple[str, ...]) -> Any:
    """Make the strategy once per process: TensorFlow confuses the all-reduces of two."""
    import tensorflow

    return tensorflow.distribute.MirroredStrategy(devices)
