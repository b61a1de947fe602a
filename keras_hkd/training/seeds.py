"""Seeds a run and makes it deterministic."""

import os
import sys

from keras_hkd.errors import RunFailedError

_ONEDNN = "TF_ENABLE_ONEDNN_OPTS"


def set_seed(seed: int) -> None:
    """Seed Python, NumPy and the Keras backend, from which initial weights are drawn.

    The order of images and their augmentation do not depend on it: they take the seed as an
    argument and are functions of (seed, epoch), which is what lets a run resume.

    Args:
        seed: a whole number >= 0.
    """
    import keras

    keras.utils.set_random_seed(seed)


def enable_determinism() -> None:
    """Make training on TensorFlow give bit-identical results when it is repeated.

    Two switches: TensorFlow's op determinism, and oneDNN off, whose order of summation depends on
    how threads are scheduled. oneDNN is read when TensorFlow loads, so this function switches it
    off where TensorFlow is not loaded yet, and otherwise requires that it was. Does nothing more on
    the JAX backend, whose CPU programs repeat already.

    Raises:
        RuntimeError: if TensorFlow is loaded and oneDNN was not switched off before.
    """
    if "tensorflow" not in sys.modules:
        os.environ[_ONEDNN] = "0"
    if os.environ.get(_ONEDNN) != "0":
        raise RunFailedError(
            "Deterministic training needs oneDNN off before TensorFlow loads, and TensorFlow is "
            f"loaded already. Start Python with the environment variable {_ONEDNN}=0, as in "
            f"`{_ONEDNN}=0 python train.py`, or call keras_hkd.training.enable_determinism() "
            "before the first import of tensorflow or keras. "
            f"Received: {_ONEDNN}={os.environ.get(_ONEDNN)!r}"
        )
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()
