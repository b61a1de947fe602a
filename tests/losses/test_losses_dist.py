"""DIST against NumPy, and what is undefined for one class."""

import numpy as np
import pytest
from scipy import special

from keras_hkd.losses import DIST


def correlations(a, b):
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return (a * b).sum(1) / (norms + 1e-8)


def twin(teacher, student, t=1.0, beta=1.0, gamma=1.0, squash=special.softmax):
    options = {"axis": -1} if squash is special.softmax else {}
    q, p = (
        squash(x.astype("f8").reshape(-1, x.shape[-1]) / t, **options) for x in (teacher, student)
    )
    inter = 1 - correlations(p, q).mean()
    intra = 1 - correlations(p.T, q.T).mean()
    return t**2 * (beta * inter + gamma * intra)


@pytest.mark.parametrize("shape", [(8, 5), (2, 6, 3)])
@pytest.mark.parametrize("options", [{}, {"beta": 0.5, "gamma": 2.0}, {"t": 3.0}])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_value(shape, options, activation, random):
    teacher, student = random(*shape, scale=2.0), random(*shape, scale=2.0)
    squash = special.softmax if activation == "softmax" else special.expit
    arguments = dict(options)
    loss = DIST(activation=activation, temperature=arguments.pop("t", 1.0), **arguments)
    expected = twin(teacher, student, squash=squash, **options)
    assert float(loss(teacher, student)) == pytest.approx(expected, rel=2e-5)


def test_one_sigmoid_keeps_the_relation_between_anchors(random):
    teacher, student = random(2, 9, 1), random(2, 9, 1)
    expected = 1 - np.corrcoef(special.expit(teacher).ravel(), special.expit(student).ravel())[0, 1]
    loss = DIST(activation="sigmoid", beta=5.0)
    assert float(loss(teacher, student)) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match='softmax over a single class.*activation="sigmoid"'):
        DIST()(teacher, student)


@pytest.mark.parametrize("shape", [(4, 3), (6, 26), (6, 7), (20_001, 3)])
@pytest.mark.parametrize("alike", ["zeros", "rows"])
def test_constants_have_no_correlation_and_no_gradient(shape, alike, random, gradients):
    """The rounding of their mean must not look like something that varies."""
    teacher = random(*shape)
    student = np.zeros(shape, "f4")
    if alike == "rows":
        student += random(1, shape[1])
    loss = DIST(beta=0.0) if alike == "rows" else DIST()
    value, _, gradient = gradients(loss, teacher, student)
    assert value == pytest.approx(1.0 if alike == "rows" else 2.0)
    np.testing.assert_array_equal(gradient, 0.0)


@pytest.mark.parametrize("scale", [10, 20, 50])
@pytest.mark.parametrize("shape", [(8, 10), (5, 3), (64, 100)])
def test_classes_that_hardly_occur_correlate_as_published(scale, shape, random, gradients):
    for _ in range(10):
        teacher, student = (random(*shape, scale=scale).clip(-50, 50) for _ in range(2))
        value, _, gradient = gradients(DIST(), teacher, student)
        # What float32 keeps of a probability of nearly 1 allows no more.
        assert value == pytest.approx(twin(teacher, student), rel=5e-4)
        assert np.isfinite(gradient).all()


def test_gradient_matches_finite_differences(random, gradients):
    teacher, student = random(4, 3), random(4, 3)
    _, _, gradient = gradients(DIST(), teacher, student)
    for index in np.ndindex(student.shape):
        step = np.zeros(student.shape)
        step[index] = 1e-5
        slope = (twin(teacher, student + step) - twin(teacher, student - step)) / 2e-5
        assert gradient[index] == pytest.approx(slope, abs=1e-4)
