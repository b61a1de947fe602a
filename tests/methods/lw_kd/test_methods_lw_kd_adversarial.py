"""Both sides of the adversarial term, beside their formulas."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_hkd.classifiers.classifier import ClassAssignment
from keras_hkd.methods.lw_kd.adversarial import Adversarial
from keras_hkd.methods.lw_kd.class_bank import ClassBank

RNG = np.random.default_rng(0)
BANK = RNG.normal(size=(3, 5, 3)).astype("float32")
FAKE, REAL = (RNG.normal(size=(4, 3)).astype("float32") for _ in range(2))


def attached(**options):
    hierarchy = Adversarial(ClassBank(BANK), **options)
    hierarchy.attach(None, types.SimpleNamespace(num_classes=3))
    return hierarchy


def judged(hierarchy, logits, temperature=1.0):
    """D's probability, layer by layer."""
    x = np.exp(logits / temperature)
    x = x / x.sum(-1, keepdims=True)
    w1, b1, w2, b2 = (ops.convert_to_numpy(w) for w in hierarchy.discriminator.weights)
    x = x @ w1 + b1
    x = np.where(x > 0, x, 0.2 * x) @ w2 + b2
    return 1 / (1 + np.exp(-x[:, 0]))


def step_of(classes=(0, 1, 2, 0), training=True):
    classes = ops.array(np.array(classes, "int32"))
    return types.SimpleNamespace(
        student_outputs={"logits": ops.array(FAKE)},
        assignment=ClassAssignment(classes, classes >= 0, None),
        training=training,
    )


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_both_sides_are_their_formulas(temperature):
    hierarchy = attached(temperature=temperature, real_label=0.9)
    p, q = (judged(hierarchy, logits, temperature) for logits in (FAKE, REAL))
    found = float(hierarchy.compute(step_of()))
    assert found == pytest.approx(-np.log(p).mean(), rel=1e-5)
    wanted = -(0.9 * np.log(q) + 0.1 * np.log(1 - q) + np.log(1 - p)).mean()
    found = float(hierarchy.discriminator_loss(ops.array(REAL), ops.array(FAKE)))
    assert found == pytest.approx(wanted, rel=1e-5)
    weights = np.array([1, 0, 0, 1], "float32")
    wanted = -(0.9 * np.log(q) + 0.1 * np.log(1 - q) + np.log(1 - p))[[0, 3]].mean()
    found = float(hierarchy.discriminator_loss(ops.array(REAL), ops.array(FAKE), weights))
    assert found == pytest.approx(wanted, rel=1e-5)


def test_images_without_a_label_do_not_count():
    hierarchy = attached()
    p = judged(hierarchy, FAKE)
    found = float(hierarchy.compute(step_of(classes=(0, -1, -1, 2))))
    assert found == pytest.approx(-np.log(p[[0, 3]]).mean(), rel=1e-5)


def test_where_both_are_alike_one_half_is_best_and_costs_twice_log_two():
    hierarchy = attached(real_label=1.0)
    weights = hierarchy.discriminator.weights
    for weight in weights[2:]:
        weight.assign(np.zeros(weight.shape))
    np.testing.assert_allclose(judged(hierarchy, REAL), 0.5)
    with tf.GradientTape() as tape:
        values = [weight.value for weight in weights]
        tape.watch(values)
        loss = hierarchy.discriminator_loss(ops.array(REAL), ops.array(REAL[::-1].copy()))
    assert float(loss) == pytest.approx(2 * np.log(2), rel=1e-6)
    for gradient in tape.gradient(loss, values):
        np.testing.assert_allclose(gradient, 0.0, atol=1e-7)
    for nudge in (0.3, -0.3):
        weights[3].assign([nudge])
        other = float(hierarchy.discriminator_loss(ops.array(REAL), ops.array(REAL)))
        assert other > 2 * np.log(2)


def test_each_side_has_no_gradient_for_the_other():
    hierarchy = attached()
    fake, real = tf.constant(FAKE), tf.constant(REAL)
    with tf.GradientTape() as tape:
        tape.watch([fake, real])
        loss = hierarchy.discriminator_loss(real, fake)
    assert tape.gradient(loss, [fake, real]) == [None, None]
    assert hierarchy.frozen_layers == (hierarchy.discriminator,)


def test_initial_weights_depend_on_the_seed():
    a, b, c = (attached(seed=seed).discriminator.weights[0].numpy() for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_options_and_config():
    with pytest.raises(ValueError, match="`real_label`"):
        Adversarial(ClassBank(BANK), real_label=0.2)
    hierarchy = Adversarial(ClassBank(BANK), temperature=2.0, width=8, seed=3)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(hierarchy))
    assert again.get_config() == hierarchy.get_config()
