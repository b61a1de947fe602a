"""Moments of channels against NumPy, and what weights and constant channels do to them."""

import numpy as np
import pytest
from keras import ops

from keras_hkd.losses.channel_moments import channel_moments, standardised


def test_moments_are_those_of_numpy(random):
    tensors = [3 * random(2, 4, 5, 3) + 100, random(2, 4, 5, 3) - 7]
    means, centred, deviations = channel_moments(tensors, epsilon=1e-6)
    for x, mean, rest, deviation in zip(tensors, means, centred, deviations, strict=True):
        rows = x.astype("f8").reshape(-1, 3)
        np.testing.assert_allclose(mean, rows.mean(0), rtol=1e-6)
        np.testing.assert_allclose(deviation, rows.std(0, ddof=1), rtol=1e-5)
        np.testing.assert_allclose(rest, x - rows.mean(0), atol=1e-4)


@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_what_has_no_weight_is_not_there(scale, random):
    x = random(2, 6, 3)
    mask = np.ones((2, 6), "f4")
    mask[0, :4] = 0
    kept = x[mask > 0]
    found = standardised([x], np.float32(scale) * mask)[0]
    expected = (kept - kept.mean(0)) / kept.std(0, ddof=1)
    np.testing.assert_allclose(np.array(found)[mask > 0], expected, rtol=1e-4, atol=1e-5)


def test_a_constant_channel_becomes_nothing(gradients):
    x = np.full((2, 4, 4, 2), 0.1, "f4")
    x[..., 1] += np.arange(32).reshape(2, 4, 4)
    np.testing.assert_array_equal(channel_moments([x], epsilon=1e-6)[2][0][0], 0.0)

    def first_channel(teacher, student, mask):
        return standardised([student])[0][0, 0, 0, 0]

    value, _, gradient = gradients(first_channel, x, x)
    assert value == 0.0 and not gradient.any()


def test_means_may_be_kept_out_of_the_gradient(gradients, random):
    x, directions = random(2, 5, 3), random(2, 5, 3)

    def squares(**options):
        def loss(teacher, student, mask):
            a, b = standardised([teacher, student], **options)
            return ops.sum(ops.square(a - b))

        return gradients(loss, directions, x)[2]

    np.testing.assert_allclose(squares(constant_means=True), squares(), rtol=1e-3, atol=1e-4)
