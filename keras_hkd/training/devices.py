"""Sets up the memory of GPUs, which must be done before the first of them is used."""

import contextlib
import os


def grow_memory() -> None:
    """Make TensorFlow and JAX take the memory of a GPU as they need it, not all of it at once.

    Two processes can then share a GPU, and a run that needs too much fails where it does. It has no
    effect on a GPU that is in use already, nor against variables of the environment that say
    otherwise (`TF_FORCE_GPU_ALLOW_GROWTH`, `XLA_PYTHON_CLIENT_PREALLOCATE`). Where Keras runs on
    another backend, TensorFlow, which then prepares images only, is kept off the GPUs.

    Example:

    >>> grow_memory()
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    asked = os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    if asked != "true":
        return
    import keras
    import tensorflow as tf

    if keras.backend.backend() != "tensorflow":  # it only reads and prepares the images
        with contextlib.suppress(RuntimeError):
            tf.config.set_visible_devices([], "GPU")
        return
    for gpu in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except (RuntimeError, ValueError):  # in use, or another setting was made on purpose
            return
