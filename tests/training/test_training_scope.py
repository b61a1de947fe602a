import keras
import numpy as np
import pytest

import keras_hkd.training.scope
from keras_hkd.training import TrainingSettings, training_scope


def test_seed_and_precision_hold_inside_and_precision_ends():
    def kernel(settings):
        with training_scope(settings):
            layer = keras.layers.Dense(3)
            layer.build((None, 2))
            return layer.compute_dtype, layer.kernel.numpy()

    dtype, first = kernel(TrainingSettings(epochs=1, seed=5, mixed_precision=True))
    assert dtype == "float16"
    assert keras.config.dtype_policy().name == "float32"
    dtype, second = kernel(TrainingSettings(epochs=1, seed=5))
    assert dtype == "float32"
    np.testing.assert_array_equal(first, second)


def test_precision_ends_with_an_error_too():
    settings = TrainingSettings(epochs=1, mixed_precision=True)
    with pytest.raises(KeyError), training_scope(settings):
        raise KeyError
    assert keras.config.dtype_policy().name == "float32"


def test_determinism_comes_first(monkeypatch):
    called = []
    monkeypatch.setattr(keras_hkd.training.scope, "enable_determinism", lambda: called.append(True))
    with training_scope(TrainingSettings(epochs=1, deterministic=True)):
        assert called == [True]


def test_a_batch_that_does_not_divide_is_refused(monkeypatch):
    import contextlib

    monkeypatch.setattr(
        keras_hkd.training.scope, "strategy_scope", lambda name: contextlib.nullcontext(2)
    )
    settings = TrainingSettings(epochs=1, batch_size=3, strategy="mirrored")
    with pytest.raises(ValueError, match="2 replicas.*batch_size=3"), training_scope(settings):
        pass
