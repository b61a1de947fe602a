import pytest

PROGRAM = """
import os
import keras_hkd.compression.model_optimization
import tensorflow as tf
assert "TF_USE_LEGACY_KERAS" not in os.environ
assert tf.keras.version().startswith("3."), tf.keras.version()
from keras_cv.src.backend.config import keras_3
assert keras_3()
"""


@pytest.mark.slow
@pytest.mark.own_process
def test_keras_3_stays_keras_3(fresh_python):
    """The library's import turns TensorFlow's Keras into Keras 2, in child processes too."""
    fresh_python(PROGRAM, TF_USE_LEGACY_KERAS=None)
