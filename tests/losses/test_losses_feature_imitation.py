"""FeatureImitation against NumPy."""

import numpy as np
import pytest

from keras_hkd.losses import FeatureImitation


def test_value_is_the_mean_squared_difference(random):
    teacher, student = random(2, 3, 4, 5), random(2, 3, 4, 5)
    expected = np.mean((student.astype("f8") - teacher) ** 2)
    assert float(FeatureImitation()(teacher, student)) == pytest.approx(expected, rel=1e-6)


def test_gradient_is_twice_the_difference_over_the_count(random, gradients):
    teacher, student = random(2, 3, 5), random(2, 3, 5)
    _, _, gradient = gradients(FeatureImitation(), teacher, student)
    np.testing.assert_allclose(gradient, 2 * (student - teacher) / 30, rtol=1e-5)


def test_copy_gives_zero_and_zero_gradient(random, gradients):
    features = random(2, 3, 4, 5)
    value, _, gradient = gradients(FeatureImitation(), features, features)
    assert value == 0.0
    np.testing.assert_array_equal(gradient, 0.0)


@pytest.mark.parametrize("shape", [(2,), (2, 3), (2, 3, 4), (2, 3, 4, 5)])
def test_mask_weighs_leading_axes(shape, random):
    teacher, student = random(2, 3, 4, 5), random(2, 3, 4, 5)
    mask = np.random.default_rng(0).uniform(0, 2, shape)
    full = np.broadcast_to(mask.reshape(shape + (1,) * (4 - len(shape))), teacher.shape)
    expected = np.average((student.astype("f8") - teacher) ** 2, weights=full)
    value = float(FeatureImitation()(teacher, student, mask=mask))
    assert value == pytest.approx(expected, rel=1e-5)


def test_boolean_mask_counts_as_zeros_and_ones(random):
    teacher, student = random(2, 3, 5), random(2, 3, 5)
    mask = np.array([[True, False, True], [False, False, True]])
    expected = np.mean((student - teacher)[mask] ** 2)
    value = float(FeatureImitation()(teacher, student, mask=mask))
    assert value == pytest.approx(expected, rel=1e-5)
