"""AttentionTransfer against NumPy, and what it does not see."""

import numpy as np
import pytest

from keras_hkd.losses import AttentionTransfer


def attention(features, power):
    strength = (np.abs(features.astype("f8")) ** power).mean(-1).reshape(len(features), -1)
    return strength / np.linalg.norm(strength, axis=1, keepdims=True)


def pooled(features, height, width):
    _, rows, columns, _ = features.shape
    out = np.zeros((len(features), height, width, features.shape[-1]))
    for i in range(height):
        for j in range(width):
            y = slice(i * rows // height, -(-(i + 1) * rows // height))
            x = slice(j * columns // width, -(-(j + 1) * columns // width))
            out[:, i, j] = features[:, y, x].mean((1, 2))
    return out


@pytest.mark.parametrize("power", [1.0, 2.0, 3.5])
@pytest.mark.parametrize("shape", [(2, 7, 3), (2, 3, 5, 4)])
def test_value(power, shape, random):
    teacher, student = random(*shape), random(*shape)
    expected = np.mean((attention(student, power) - attention(teacher, power)) ** 2)
    assert float(AttentionTransfer(power=power)(teacher, student)) == pytest.approx(expected, 1e-5)


def test_value_by_hand():
    # Strengths (9, 16) and (1, 0): attention (0.6^2...) is (9, 16) / sqrt(337) against (1, 0).
    teacher, student = np.array([[[3.0], [4.0]]], "f4"), np.array([[[1.0], [0.0]]], "f4")
    norm = 337**0.5
    expected = ((1 - 9 / norm) ** 2 + (16 / norm) ** 2) / 2
    assert float(AttentionTransfer()(teacher, student)) == pytest.approx(expected, rel=1e-6)


def test_widths_may_differ(random):
    teacher, student = random(2, 3, 5, 8), random(2, 3, 5, 2)
    expected = np.mean((attention(student, 2) - attention(teacher, 2)) ** 2)
    assert float(AttentionTransfer()(teacher, student)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("sizes", [((6, 9), (3, 3)), ((5, 7), (3, 4)), ((4, 3), (2, 8))])
def test_the_larger_map_is_pooled(sizes, random):
    teacher, student = random(2, *sizes[0], 3), random(2, *sizes[1], 4)
    size = [min(pair) for pair in zip(*sizes, strict=True)]
    maps = [attention(pooled(x, *size), 2) for x in (teacher, student)]
    value = float(AttentionTransfer()(teacher, student))
    assert value == pytest.approx(np.mean((maps[0] - maps[1]) ** 2), rel=1e-4)
    with pytest.raises(ValueError, match="`mask` must have the leading axes"):
        AttentionTransfer()(teacher, student, mask=np.ones((2, *sizes[1])))


def test_scale_of_an_image_does_not_matter(random):
    teacher, student = random(2, 3, 4, 5), random(2, 3, 4, 5)
    scaled = student * np.array([0.1, 7.0], "f4").reshape(2, 1, 1, 1)
    value = float(AttentionTransfer()(teacher, student))
    assert float(AttentionTransfer()(teacher, scaled)) == pytest.approx(value, rel=1e-5)


def test_an_empty_map_has_finite_gradient(random, gradients):
    _, _, gradient = gradients(AttentionTransfer(), random(1, 4, 3), np.zeros((1, 4, 3), "f4"))
    np.testing.assert_array_equal(gradient, 0.0)


def test_power_below_one_is_refused():
    with pytest.raises(ValueError, match="`power` must be a finite number at least 1"):
        AttentionTransfer(power=0.5)
