import keras
import numpy as np
import pytest

from keras_hkd.training import enable_determinism, set_seed


def test_the_seed_fixes_initial_weights():
    def kernel(seed):
        set_seed(seed)
        layer = keras.layers.Dense(3)
        layer.build((None, 2))
        return layer.kernel.numpy()

    np.testing.assert_array_equal(kernel(3), kernel(3))
    assert not np.array_equal(kernel(3), kernel(4))


def test_refuses_to_come_too_late(monkeypatch):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    with pytest.raises(RuntimeError, match="before TensorFlow loads.*TF_ENABLE_ONEDNN_OPTS=0"):
        enable_determinism()


@pytest.mark.slow
@pytest.mark.own_process
def test_in_time_it_switches_both_on(fresh_python):
    script = (
        "import os, keras_hkd.training as training; training.enable_determinism(); "
        "from tensorflow.config import experimental; "
        "assert os.environ['TF_ENABLE_ONEDNN_OPTS'] == '0'; "
        "training.enable_determinism(); "
        "from tensorflow.python.framework import config; "
        "assert config.is_op_determinism_enabled()"
    )
    fresh_python(script, TF_ENABLE_ONEDNN_OPTS=None)
