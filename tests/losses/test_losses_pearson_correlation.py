"""PearsonCorrelation against NumPy, and its invariances."""

import numpy as np
import pytest

from keras_hkd.losses import PearsonCorrelation


def standardise(x):
    x = x.astype("f8").reshape(-1, x.shape[-1])
    return (x - x.mean(0)) / (x.std(0, ddof=1) + 1e-6)


def twin(teacher, student):
    return np.mean((standardise(student) - standardise(teacher)) ** 2) / 2


def test_value_with_the_unbiased_deviation(random):
    teacher, student = random(2, 3, 3, 4), random(2, 3, 3, 4)
    value = float(PearsonCorrelation()(teacher, student))
    assert value == pytest.approx(twin(teacher, student), rel=1e-5)
    biased = twin(teacher, student) * 18 / 17
    assert value != pytest.approx(biased, rel=1e-2)


def test_value_is_one_minus_the_correlation(random):
    teacher, student = random(2, 5, 5, 4), random(2, 5, 5, 4)
    r = [np.corrcoef(teacher[..., c].ravel(), student[..., c].ravel())[0, 1] for c in range(4)]
    expected = (1 - np.mean(r)) * 49 / 50
    assert float(PearsonCorrelation()(teacher, student)) == pytest.approx(expected, rel=1e-4)


def test_copy_gives_zero_and_zero_gradient(random, gradients):
    features = random(2, 4, 4, 3)
    value, _, gradient = gradients(PearsonCorrelation(), features, features)
    assert value == 0.0
    np.testing.assert_array_equal(gradient, 0.0)


def test_affine_maps_of_channels_with_positive_slope_change_nothing(random):
    teacher, student = random(2, 4, 4, 3), random(2, 4, 4, 3)
    slope, offset = np.array([0.1, 3.0, 40.0], "f4"), np.array([-5.0, 0.0, 9.0], "f4")
    expected = pytest.approx(float(PearsonCorrelation()(teacher, student)), rel=1e-4)
    assert float(PearsonCorrelation()(slope * teacher + offset, student)) == expected
    assert float(PearsonCorrelation()(teacher, slope * student + offset)) == expected


def test_opposite_sign_is_the_worst_case(random):
    features = random(2, 4, 4, 3)
    value = float(PearsonCorrelation()(features, -features))
    assert value == pytest.approx(2 * 31 / 32, rel=1e-4)


def test_mask_of_zeros_and_ones_gives_the_statistics_of_what_is_left(random):
    teacher, student = random(2, 4, 4, 3), random(2, 4, 4, 3)
    mask = np.random.default_rng(0).uniform(size=(2, 4, 4)) < 0.6
    value = float(PearsonCorrelation()(teacher, student, mask=mask))
    assert value == pytest.approx(twin(teacher[mask], student[mask]), rel=1e-5)


def test_scale_of_the_weights_does_not_matter(random):
    teacher, student = random(2, 6, 3), random(2, 6, 3)
    weights = np.random.default_rng(0).uniform(0.1, 1, size=(2, 6))
    value = float(PearsonCorrelation()(teacher, student, mask=weights))
    assert float(PearsonCorrelation()(teacher, student, mask=1e-3 * weights)) == pytest.approx(
        value, rel=1e-4
    )


def test_gradient_matches_finite_differences(random, gradients):
    teacher, student = random(2, 3, 2), random(2, 3, 2)
    _, _, gradient = gradients(PearsonCorrelation(), teacher, student)
    for index in np.ndindex(student.shape):
        step = np.zeros(student.shape, "f8")
        step[index] = 1e-5
        slope = (twin(teacher, student + step) - twin(teacher, student - step)) / 2e-5
        assert gradient[index] == pytest.approx(slope, abs=1e-4)


@pytest.mark.parametrize("dead", ["teacher", "student"])
def test_constant_channels_neither_break_nor_explode(dead, random, gradients):
    tensors = {"teacher": random(2, 4, 4, 3), "student": random(2, 4, 4, 3)}
    tensors[dead][..., 1] = 0.3
    value, _, gradient = gradients(PearsonCorrelation(), tensors["teacher"], tensors["student"])
    assert value == pytest.approx(twin(tensors["teacher"], tensors["student"]), rel=1e-5)
    assert np.all(np.isfinite(gradient))
    assert np.abs(gradient).max() < 1


@pytest.mark.parametrize("constant", [1.7, 33.3, 100.3])
@pytest.mark.parametrize("shape", [(2, 40, 40, 1), (8, 64, 64, 1)])
def test_the_rounding_of_a_mean_is_no_variation(constant, shape, random, gradients):
    teacher, student = random(*shape), np.full(shape, constant, "f4")
    value, _, gradient = gradients(PearsonCorrelation(), teacher, student)
    assert value == pytest.approx(twin(teacher, student), rel=1e-5)
    np.testing.assert_array_equal(gradient, 0.0)


def test_a_single_position_has_no_deviation(random, gradients):
    value, _, gradient = gradients(PearsonCorrelation(), random(1, 1, 1, 3), random(1, 1, 1, 3))
    assert value == 0.0
    np.testing.assert_array_equal(gradient, 0.0)


@pytest.mark.parametrize(
    ("epsilon", "error"), [(0.0, ValueError), (-1, ValueError), ("1", TypeError)]
)
def test_bad_epsilon_is_refused(epsilon, error):
    with pytest.raises(error, match="`epsilon` must be"):
        PearsonCorrelation(epsilon=epsilon)
