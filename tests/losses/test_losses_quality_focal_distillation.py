"""QualityFocalDistillation against NumPy."""

import numpy as np
import pytest
from scipy import special

from keras_hkd.losses import QualityFocalDistillation


def terms(teacher, student, beta=1.0):
    q, p = special.expit(teacher.astype("f8")), special.expit(student.astype("f8"))
    return np.abs(p - q) ** beta * (-q * np.log(p) - (1 - q) * np.log(1 - p)), q


@pytest.mark.parametrize("beta", [1.0, 2.0])
def test_positives_divide(beta, random):
    teacher, student = random(2, 9, 3, scale=2.0), random(2, 9, 3, scale=2.0)
    positives = np.arange(18).reshape(2, 9) % 4 == 0
    ignored = np.arange(18).reshape(2, 9) % 4 == 1
    expected = terms(teacher, student, beta)[0][~ignored].sum() / 5
    value = QualityFocalDistillation(beta=beta)(
        teacher, student, mask=~ignored, positives=positives
    )
    assert float(value) == pytest.approx(expected, rel=1e-5)


def test_without_them_the_teachers_best_scores_divide(random):
    teacher, student = random(2, 9, 3, scale=2.0), random(2, 9, 3, scale=2.0)
    values, q = terms(teacher, student)
    value = float(QualityFocalDistillation()(teacher, student))
    assert value == pytest.approx(values.sum() / q.max(-1).sum(), rel=1e-5)


def test_the_divisor_is_at_least_one(random):
    teacher, student = random(1, 9, 1) - 9, random(1, 9, 1)
    expected = terms(teacher, student)[0].sum()
    nobody = np.zeros((1, 9), bool)
    for options in ({}, {"positives": nobody}):
        value = float(QualityFocalDistillation()(teacher, student, **options))
        assert value == pytest.approx(expected, rel=1e-5)


def test_positives_of_another_shape_are_refused(random):
    with pytest.raises(ValueError, match=r"`positives` must have the shape \(2, 9\)"):
        QualityFocalDistillation()(random(2, 9, 1), random(2, 9, 1), positives=np.ones((2, 9, 1)))
