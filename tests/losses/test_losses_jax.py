"""Losses and schedules run on JAX, compiled and differentiated, with the numbers of TensorFlow."""

import json

import numpy as np
import pytest

SCRIPT = """
    import json
    import sys

    import keras
    import numpy as np

    from keras_hkd import losses
    from keras_hkd.distillation import schedules

    generator = np.random.default_rng(3)
    teacher = 2 * generator.normal(size=(2, 4, 3)).astype("float32")
    student = 2 * generator.normal(size=(2, 4, 3)).astype("float32")
    mask = np.array([[1, 1, 0, 1], [1, 0, 0.5, 1]], "float32")
    terms = [
        losses.FeatureImitation(),
        losses.PearsonCorrelation(),
        losses.LogitDistillation(),
        losses.LogitDistillation(activation="sigmoid"),
        losses.AdaptiveDistillation(),
        losses.AdaptiveDistillation(form="paper", gamma=0.5),
        losses.AttentionTransfer(),
        losses.ChannelWiseDivergence(),
        losses.DIST(),
        losses.QualityFocalDistillation(),
    ]
    schedule = schedules.LinearWarmUp(schedules.CosineDecay(3.0, steps=6), steps=4)


    def differentiate(function):
        if keras.backend.backend() == "jax":
            import jax

            return lambda *x: [np.array(y) for y in jax.jit(jax.grad(function, (0, 1)))(*x)]
        import tensorflow as tf

        def gradients(*x):
            x = [tf.constant(a) for a in x]
            with tf.GradientTape() as tape:
                tape.watch(x)
                value = function(*x)
            return [y.numpy() for y in tape.gradient(value, x, unconnected_gradients="zero")]

        return gradients


    found = []
    for loss in terms:
        for weights in (None, mask):
            call = lambda t, s, loss=loss, weights=weights: loss(t, s, mask=weights)
            d_teacher, d_student = differentiate(call)(teacher, student)
            assert not d_teacher.any()
            found.append(float(call(teacher, student)))
            found.extend(d_student.ravel().tolist())
        extreme = np.where(teacher > 0, 50.0, -50.0).astype("float32")
        pairs = np.concatenate([extreme, extreme]), np.concatenate([extreme, -extreme])
        assert np.isfinite(differentiate(loss)(*pairs)[1]).all()
        assert float(loss(teacher[:0], student[:0])) == 0.0
    found.extend(float(schedule(step)) for step in range(12))
    print(json.dumps(found))
"""


@pytest.mark.own_process
@pytest.mark.long
def test_jax_gives_the_values_and_gradients_of_tensorflow(fresh_python):
    pytest.importorskip("jax", reason="JAX is an optional backend: pip install keras_hkd[jax]")
    on_jax, on_tensorflow = (
        json.loads(fresh_python(SCRIPT, KERAS_BACKEND=name, JAX_PLATFORMS="cpu").splitlines()[-1])
        for name in ("jax", "tensorflow")
    )
    np.testing.assert_allclose(on_jax, on_tensorflow, rtol=1e-4, atol=1e-6)
