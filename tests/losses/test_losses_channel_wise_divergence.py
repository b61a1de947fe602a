"""ChannelWiseDivergence against NumPy, and its invariance."""

import numpy as np
import pytest
from scipy import special

from keras_hkd.losses import ChannelWiseDivergence


def twin(teacher, student, t=1.0):
    batch, channels = len(teacher), teacher.shape[-1]
    total = 0.0
    for n in range(batch):
        for c in range(channels):
            q = special.softmax(teacher[n, ..., c].astype("f8").ravel() / t)
            p = special.softmax(student[n, ..., c].astype("f8").ravel() / t)
            total += special.rel_entr(q, p).sum()
    return t**2 * total / (batch * channels)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("shape", [(2, 7, 3), (3, 4, 5, 2)])
def test_value(temperature, shape, random):
    teacher, student = random(*shape, scale=2.0), random(*shape, scale=2.0)
    value = float(ChannelWiseDivergence(temperature=temperature)(teacher, student))
    assert value == pytest.approx(twin(teacher, student, temperature), rel=1e-5)


def test_offset_of_a_channel_does_not_matter_and_its_scale_does(random):
    teacher, student = random(2, 4, 5, 3), random(2, 4, 5, 3)
    value = float(ChannelWiseDivergence()(teacher, student))
    shifted = student + np.array([5.0, -3.0, 0.0], "f4")
    assert float(ChannelWiseDivergence()(teacher, shifted)) == pytest.approx(value, rel=1e-4)
    assert float(ChannelWiseDivergence()(teacher, 2 * student)) != pytest.approx(value, rel=0.05)


def test_a_weight_of_two_is_a_position_twice(random):
    teacher, student = random(1, 3, 2), random(1, 3, 2)
    value = float(ChannelWiseDivergence()(teacher, student, mask=np.array([[1.0, 2.0, 1.0]])))
    twice = [x[:, [0, 1, 1, 2]] for x in (teacher, student)]
    assert value == pytest.approx(twin(*twice), rel=1e-5)


def test_masked_images_do_not_count(random):
    teacher, student = random(3, 4, 2), random(3, 4, 2)
    value = float(ChannelWiseDivergence()(teacher, student, mask=np.array([1.0, 0.0, 1.0])))
    assert value == pytest.approx(twin(teacher[::2], student[::2]), rel=1e-5)
