"""The prediction head of any width."""

import keras
import numpy
import pytest
from keras import ops

from keras_hkd.detectors import PredictionHead


@pytest.mark.parametrize("separable", [False, True])
def test_shape_and_prior(separable):
    head = PredictionHead(9, 8, 2, separable=separable, bias_value=-4.6)
    found = head(ops.zeros((2, 3, 5, 16)))
    assert found.shape == head.compute_output_shape((2, 3, 5, 16)) == (2, 3, 5, 9)
    numpy.testing.assert_allclose(found, numpy.full((2, 3, 5, 9), -4.6), rtol=1e-6)


def test_separable_towers_are_smaller():
    sizes = []
    for separable in (True, False):
        head = PredictionHead(9, 32, 2, separable=separable)
        head.build((None, None, None, 32))
        sizes.append(head.count_params())
    plain = 2 * (9 * 32 * 32 + 32) + 9 * 32 * 9 + 9
    assert sizes == [2 * (9 * 32 + 32 * 32 + 32) + 9 * 32 * 9 + 9, plain]


def test_config_round_trip():
    head = PredictionHead(18, 8, 1, separable=True, bias_value=-2.0, name="head")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    assert type(again) is PredictionHead
    assert again.get_config() == head.get_config()
