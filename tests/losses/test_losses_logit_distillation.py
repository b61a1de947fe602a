"""LogitDistillation against NumPy and SciPy."""

import numpy as np
import pytest
from scipy import special

from keras_hkd.losses import LogitDistillation


def softmax_rows(teacher, student, temperature):
    q = special.softmax(teacher.astype("f8") / temperature, axis=-1)
    p = special.softmax(student.astype("f8") / temperature, axis=-1)
    return temperature**2 * special.rel_entr(q, p).sum(-1)


def sigmoid_rows(teacher, student, temperature):
    q = special.expit(teacher.astype("f8") / temperature)
    p = special.expit(student.astype("f8") / temperature)
    terms = special.rel_entr(q, p) + special.rel_entr(1 - q, 1 - p)
    return temperature**2 * terms.sum(-1)


TWINS = {"softmax": softmax_rows, "sigmoid": sigmoid_rows}
each_activation = pytest.mark.parametrize("activation", TWINS)


@each_activation
@pytest.mark.parametrize("temperature", [1.0, 3.0])
@pytest.mark.parametrize("shape", [(6, 4), (2, 5, 4), (2, 3, 3, 2)])
def test_value_is_the_mean_over_rows(activation, temperature, shape, random):
    teacher, student = random(*shape, scale=3.0), random(*shape, scale=3.0)
    loss = LogitDistillation(activation=activation, temperature=temperature)
    expected = TWINS[activation](teacher, student, temperature).mean()
    assert float(loss(teacher, student)) == pytest.approx(expected, rel=1e-5)


@each_activation
def test_mask_weighs_rows(activation, random):
    teacher, student = random(2, 5, 4, scale=3.0), random(2, 5, 4, scale=3.0)
    mask = np.random.default_rng(0).uniform(size=(2, 5)) * [1, 0, 1, 1, 0]
    rows = TWINS[activation](teacher, student, 3.0)
    value = float(LogitDistillation(activation=activation)(teacher, student, mask=mask))
    assert value == pytest.approx(np.average(rows, weights=mask), rel=1e-5)


@each_activation
def test_copy_gives_zero_and_zero_gradient(activation, random, gradients):
    logits = random(6, 4, scale=5.0)
    value, _, gradient = gradients(LogitDistillation(activation=activation), logits, logits)
    assert value == 0.0
    np.testing.assert_allclose(gradient, 0.0, atol=1e-7)


@each_activation
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_gradient_is_temperature_times_the_difference_of_probabilities(
    activation, temperature, random, gradients
):
    teacher, student = random(6, 4, scale=3.0), random(6, 4, scale=3.0)
    squash = special.expit if activation == "sigmoid" else lambda x: special.softmax(x, axis=-1)
    loss = LogitDistillation(activation=activation, temperature=temperature)
    _, _, gradient = gradients(loss, teacher, student)
    expected = temperature * (squash(student / temperature) - squash(teacher / temperature)) / 6
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-6)


def test_softmax_ignores_an_offset_per_row(random):
    teacher, student = random(6, 4), random(6, 4)
    loss = LogitDistillation()
    shifted = loss(teacher, student + random(6, 1))
    assert float(shifted) == pytest.approx(float(loss(teacher, student)), rel=1e-4)


def test_two_class_softmax_equals_one_sigmoid_of_the_difference(random):
    teacher, student = random(6, 2), random(6, 2)
    one = LogitDistillation(activation="sigmoid")(
        teacher[:, :1] - teacher[:, 1:], student[:, :1] - student[:, 1:]
    )
    assert float(LogitDistillation()(teacher, student)) == pytest.approx(float(one), rel=1e-4)


def test_softmax_over_one_class_is_refused(random):
    with pytest.raises(ValueError, match='exactly 0.*activation="sigmoid"'):
        LogitDistillation()(random(2, 5, 1), random(2, 5, 1))
    assert float(LogitDistillation(activation="sigmoid")(random(2, 5, 1), random(2, 5, 1))) > 0


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="Did you mean 'softmax'"):
        LogitDistillation(activation="softmx")
    with pytest.raises(ValueError, match="`temperature` must be a finite number above 0"):
        LogitDistillation(temperature=0)
    with pytest.raises(ValueError, match="`temperature`"):
        LogitDistillation(temperature=float("nan"))
