"""Counted probabilities as targets, beside the formulas in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_hkd.losses.soft_label_divergence import SoftLabelDivergence

LABELS = np.array([[1.0, 0.0, 0.0], [0.5, 0.25, 0.25], [0.0, 0.75, 0.25]], "float32")
LOGITS = np.array([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0], [0.0, 1.0, 0.0]], "float32")


def softmax(x):
    exponentials = np.exp(x - x.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def x_log(x, y):
    return np.where(x > 0, x * np.log(np.where(x > 0, x, 1.0) / y), 0.0)


def by_hand(labels, logits, form, activation):
    p = softmax(logits) if activation == "softmax" else 1 / (1 + np.exp(-logits))
    if form == "mse":
        return np.square(labels - p).mean(-1)
    rows = x_log(labels, p)
    if activation == "sigmoid":
        rows = rows + x_log(1 - labels, 1 - p)
    return rows.sum(-1)


@pytest.mark.parametrize("form", ["kl", "mse"])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_it_is_the_formula(form, activation):
    loss = SoftLabelDivergence(form=form, activation=activation, temperature=2.0)
    rows = by_hand(LABELS, LOGITS / 2, form, activation)
    assert float(loss(LABELS, LOGITS)) == pytest.approx(rows.mean(), rel=1e-5)
    mask = np.array([1.0, 0.0, 3.0], "float32")
    wanted = (rows * mask).sum() / 4
    assert float(loss(LABELS, LOGITS, mask=mask)) == pytest.approx(wanted, rel=1e-5)
    assert float(loss(LABELS, LOGITS, mask=np.zeros(3, "float32"))) == 0.0


@pytest.mark.parametrize("form", ["kl", "mse"])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_zero_and_flat_where_the_student_says_just_that(form, activation):
    labels = softmax(LOGITS) if activation == "softmax" else 1 / (1 + np.exp(-LOGITS))
    variable = tf.Variable(LOGITS)
    with tf.GradientTape() as tape:
        value = SoftLabelDivergence(form=form, activation=activation)(labels, variable)
    assert float(value) == pytest.approx(0.0, abs=1e-6)
    np.testing.assert_allclose(tape.gradient(value, variable), 0.0, atol=1e-6)


def test_the_gradient_of_certain_labels_is_that_of_cross_entropy():
    labels = np.eye(3, dtype="float32")
    variable = tf.Variable(LOGITS * 40)  # where probabilities round to 0 and 1
    with tf.GradientTape() as tape:
        value = SoftLabelDivergence()(labels, variable)
    gradient = tape.gradient(value, variable)
    np.testing.assert_allclose(gradient, (softmax(LOGITS * 40.0) - labels) / 3, atol=1e-6)


def test_config_and_words():
    loss = SoftLabelDivergence(form="mse", activation="sigmoid", temperature=2.0)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert again.get_config() == loss.get_config()
    with pytest.raises(ValueError, match="`form` must be one of"):
        SoftLabelDivergence(form="kld")
