"""RegionRelation against SciPy's distances, and its invariances."""

import numpy as np
import pytest
from scipy.spatial import distance

from keras_hkd.losses import RegionRelation


def twin(teacher, student, mask):
    differences = []
    for t, s, present in zip(teacher, student, mask, strict=True):
        if present.sum() < 2:
            continue
        relations = [distance.pdist(x[present].reshape(present.sum(), -1)) for x in (t, s)]
        t, s = (relation / relation.mean() for relation in relations)
        differences.extend(np.abs(t - s))
    return np.mean(differences)


MASK = np.array([[1, 1, 1, 0, 1], [1, 1, 1, 1, 1], [0, 1, 0, 0, 0]], bool)


def test_value(random):
    teacher, student = random(3, 5, 2, 2, 4).astype("f8"), random(3, 5, 2, 2, 3).astype("f8")
    value = float(RegionRelation()(teacher, student, mask=MASK))
    assert value == pytest.approx(twin(teacher, student, MASK), rel=1e-4)
    value = float(RegionRelation()(teacher, student))
    assert value == pytest.approx(twin(teacher, student, np.ones((3, 5), bool)), rel=1e-4)


def test_scale_offset_and_rotation_do_not_matter(random):
    teacher, student = random(2, 5, 3), random(2, 5, 3)
    value = float(RegionRelation()(teacher, student))
    rotation, _ = np.linalg.qr(random(3, 3))
    moved = 7 * (student @ rotation) + 20
    assert value > 0.05
    assert float(RegionRelation()(teacher, moved)) == pytest.approx(value, rel=1e-3)


def test_fewer_than_two_regions_say_nothing(random, gradients):
    lonely = np.array([[1, 0, 0, 0, 0], [0, 0, 0, 0, 0]])
    value, _, gradient = gradients(RegionRelation(), random(2, 5, 3), random(2, 5, 3), lonely)
    assert value == 0.0
    np.testing.assert_array_equal(gradient, 0.0)


def test_images_whose_regions_are_equal_to_the_teacher_say_nothing(random):
    teacher, student = random(2, 5, 3), random(2, 5, 3)
    one = float(RegionRelation()(teacher[:1], student[:1]))
    teacher[1] = teacher[1, :1]
    assert float(RegionRelation()(teacher, student)) == pytest.approx(one, rel=1e-5)
    assert float(RegionRelation()(teacher[1:], student[1:])) == 0.0


def test_equal_regions_have_finite_gradients(random, gradients):
    same = np.ones((2, 5, 3), "f4")
    value, _, gradient = gradients(RegionRelation(), random(2, 5, 3), same)
    assert value > 0 and np.all(np.isfinite(gradient))


def test_parts_of_regions_cannot_be_masked(random):
    with pytest.raises(ValueError, match=r"must be \(batch, regions\)"):
        RegionRelation()(random(2, 5, 2, 3), random(2, 5, 2, 3), mask=np.ones((2, 5, 2)))
