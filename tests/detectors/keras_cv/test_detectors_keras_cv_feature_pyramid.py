"""The pyramid of any width."""

import keras
import numpy
import pytest
from keras import ops

from keras_hkd.detectors import FeaturePyramid


@pytest.mark.parametrize("num_levels", [3, 4, 5])
def test_shapes_are_those_announced(num_levels):
    pyramid = FeaturePyramid(6, num_levels)
    maps = {f"P{i}": ops.ones((2, 48 // 2 ** (i - 2), 96 // 2 ** (i - 2), i)) for i in (3, 4, 5)}
    levels = pyramid(maps)
    shapes = [(2, 24, 48, 6), (2, 12, 24, 6), (2, 6, 12, 6), (2, 3, 6, 6), (2, 2, 3, 6)]
    assert [tuple(level.shape) for level in levels] == shapes[:num_levels]
    announced = pyramid.compute_output_shape({key: value.shape for key, value in maps.items()})
    assert list(announced) == shapes[:num_levels]


def test_coarse_maps_flow_to_fine_ones_only():
    pyramid = FeaturePyramid(4, 3)
    maps = {f"P{i}": ops.ones((1, 64 // 2**i, 64 // 2**i, 3)) for i in (3, 4, 5)}
    before = pyramid(maps)
    for changed, reached in (("P5", {0, 1, 2}), ("P4", {0, 1}), ("P3", {0})):
        after = pyramid({**maps, changed: 2 * maps[changed]})
        differs = {i for i in range(3) if (after[i] != before[i]).numpy().any()}
        assert differs == reached


def test_config_round_trip():
    pyramid = FeaturePyramid(7, num_levels=4, name="pyramid")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(pyramid))
    assert type(again) is FeaturePyramid
    assert again.get_config() == pyramid.get_config()
    numpy.testing.assert_array_equal([again.channels, again.num_levels], [7, 4])


def test_bad_number_of_levels():
    with pytest.raises(ValueError, match="must be 3, 4 or 5. Received: num_levels=6"):
        FeaturePyramid(8, num_levels=6)
