"""When the callback measures, and what it writes."""

import types

import keras
import numpy as np
import pytest

import keras_hkd.distillation.gradient_norms as module


def test_shares_are_logged_every_second_epoch(monkeypatch):
    asked = []

    def norms_of(model, combine, training):
        assert training
        return lambda *batch: asked.append(batch) or np.array([2.0, 4.0, 0.5])

    monkeypatch.setattr(module, "norms_of", norms_of)
    callback = module.GradientShares("images", "labels", every=2)
    callback.set_model(
        types.SimpleNamespace(term_names=("boxes", "maps"), term_weights=lambda: [7.0, 1.0, 4.0])
    )
    callback.on_train_begin()
    logs = [{"loss": 3.0} for _ in range(4)]
    for epoch in range(4):
        callback.on_epoch_end(epoch, logs[epoch])
    callback.on_epoch_end(5, None)
    shares = {"student": 0.25, "boxes": 0.5, "maps": 0.25}
    measured = {"loss": 3.0, **{f"{name}_gradient_share": one for name, one in shares.items()}}
    assert logs == [{"loss": 3.0}, measured, {"loss": 3.0}, measured]
    assert asked == [("images", "labels")] * 2


def test_a_model_without_terms_is_refused():
    callback = module.GradientShares("images", "labels")
    inputs = keras.Input((2,))
    callback.set_model(keras.Model(inputs, inputs, name="alone"))
    with pytest.raises(ValueError, match="terms of a Distiller. Received: 'alone', which has none"):
        callback.on_train_begin()


class OneTerm:
    """A student of one layer, and a loss whose gradients float16 has no numbers for."""

    def __init__(self, dtype, factor):
        inputs = keras.Input((4,))
        layer = keras.layers.Dense(3, dtype=dtype, kernel_initializer="ones")
        self.student = keras.Model(inputs, layer(inputs))
        self.variables = self.student.variables
        self.factor = factor

    def __call__(self, images, training):
        return self.student(images, training=training)

    def compute_terms(self, images, labels, outputs, training):
        outputs = keras.ops.cast(outputs, "float32")
        return {"term": keras.ops.sum(keras.ops.square(outputs)) * self.factor}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("factor", [1e-9, 1e-4, 1.0, 300.0])
def test_norms_in_half_precision_are_those_of_float32(factor, compiled):
    """The smallest underflow without a factor, the largest overflow with the largest factor."""
    images = np.random.default_rng(0).uniform(0, 1, (8, 4)).astype("float32")
    norms = [
        module.norms_of(OneTerm(dtype, factor), lambda t: [t["term"]], True, compiled)(images, 0)
        for dtype in ("float32", "mixed_float16")
    ]
    assert norms[0] > 0
    np.testing.assert_allclose(norms[1], norms[0], rtol=0.01)
