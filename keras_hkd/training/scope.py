"""The scope in which the models of a run are built: seed, determinism, precision, devices."""

import contextlib
from collections.abc import Iterator

from keras_hkd.errors import InvalidValueError
from keras_hkd.training.devices import grow_memory
from keras_hkd.training.seeds import enable_determinism, set_seed
from keras_hkd.training.settings import TrainingSettings
from keras_hkd.training.strategy import strategy_scope
from keras_hkd.training.workers import join_workers


@contextlib.contextmanager
def training_scope(settings: TrainingSettings) -> Iterator[int]:
    """Build detectors and Distiller inside this: seed, determinism, precision, devices.

    All four are read when variables and layers are made, so that a model built outside keeps what
    it was built with. The precision policy is put back at the end.

    Args:
        settings: for `seed`, `deterministic`, `mixed_precision`, `strategy` and `batch_size`.

    Returns:
        A context manager that gives the number of replicas.

    Raises:
        ValueError: if the batch does not divide among the replicas.
        RuntimeError: for determinism asked for too late; see `enable_determinism`.

    Example:

    >>> with training_scope(TrainingSettings(epochs=1)) as num_replicas:
    ...     num_replicas
    1
    """
    if settings.deterministic:
        enable_determinism()
    from keras_hkd.saved_learner import computing_in  # loads Keras

    grow_memory()
    join_workers(settings.strategy)
    set_seed(settings.seed)
    policy = f"mixed_{settings.half_precision}" if settings.mixed_precision else None
    with computing_in(policy), strategy_scope(settings.strategy) as num_replicas:
        if settings.batch_size % num_replicas:
            raise InvalidValueError(
                f"The batch must divide among the {num_replicas} replicas of strategy "
                f"{settings.strategy!r}. Received: batch_size={settings.batch_size}"
            )
        yield num_replicas
