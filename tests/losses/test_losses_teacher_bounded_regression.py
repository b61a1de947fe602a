"""TeacherBoundedRegression against NumPy."""

import numpy as np
import pytest

from keras_hkd.losses import TeacherBoundedRegression


@pytest.mark.parametrize("margin", [0.0, 2.0])
def test_value(margin, random):
    teacher, student, targets = random(2, 9, 4), random(2, 9, 4), random(2, 9, 4)
    mask = np.arange(18).reshape(2, 9) % 3 > 0
    own = ((student.astype("f8") - targets) ** 2).sum(-1)
    bound = ((teacher.astype("f8") - targets) ** 2).sum(-1)
    expected = np.where(own + margin > bound, own, 0)[mask].mean()
    loss = TeacherBoundedRegression(margin=margin)
    assert float(loss(teacher, student, targets=targets, mask=mask)) == pytest.approx(
        expected, 1e-5
    )


def test_only_boxes_worse_than_the_teachers_are_pushed(gradients):
    teacher = np.array([[[1, 1, 1, 1], [1, 1, 1, 1]]], "f4")
    student = np.array([[[0.9, 0.9, 0.9, 0.9], [1.1, 1.1, 1.1, 1.1]]], "f4")
    loss, targets = TeacherBoundedRegression(), np.zeros((1, 2, 4), "f4")
    _, _, gradient = gradients(
        lambda t, s, mask: loss(t, s, mask=mask, targets=targets), teacher, student
    )
    np.testing.assert_array_equal(gradient[0, 0], 0.0)
    np.testing.assert_allclose(gradient[0, 1], 1.1, rtol=1e-5)  # 2 * 1.1 / 2 boxes


def test_targets_of_another_shape_are_refused(random):
    with pytest.raises(ValueError, match=r"`targets` must have the shape \(2, 9, 4\)"):
        TeacherBoundedRegression()(random(2, 9, 4), random(2, 9, 4), targets=np.zeros((2, 1, 4)))
