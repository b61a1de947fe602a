"""Sets up the memory of GPUs, which must be done before the first of them is used."""

import os


def grow_memory() -> None:
    """Make TensorFlow and JAX take the memory of a GPU as they need it, not all of it at once.

    Two processes can then share a GPU, and a run that needs too much fails where it does. It has no
    effect on a GPU that is in use already, nor against variables of the environment that say
    otherwise (`TF_FORCE_GPU_ALLOW_GROWTH`, `XLA_PYTHON_CLIENT_PREALLOCATE`).

    Example:

    >>> grow_memory()
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    asked = os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    if asked != "true":
        return
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except (RuntimeError, ValueError):  # in use, or another setting was made on purpose
            return
