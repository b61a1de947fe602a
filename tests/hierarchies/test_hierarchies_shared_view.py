"""One view at two sizes: pixels there, boxes and maps back."""

import numpy as np
import pytest

from keras_hkd.hierarchies.shared_view import (
    PADDING_GREY,
    content_map,
    content_size,
    resize_view,
    view_scale,
)


def ramp(height, width):
    y, x = np.mgrid[:height, :width].astype("float32")
    return np.stack([y, x, y + x], axis=-1)[None]


def test_equal_sizes_are_left_alone():
    images = ramp(64, 96)
    assert resize_view(images, (64, 96)) is images
    features = ramp(8, 12)
    np.testing.assert_array_equal(content_map(features, (64, 96), (64, 96), (8, 12)), features)


def test_a_view_of_another_shape_is_padded_below_or_right():
    view = np.asarray(resize_view(ramp(64, 96), (128, 128)))
    assert view.shape == (1, 128, 128, 3)
    assert content_size((64, 96), (128, 128)) == (85, 128)
    assert (view[:, 85:] == PADDING_GREY).all() and (view[:, :85] != PADDING_GREY).any()


@pytest.mark.parametrize("view_size", [(128, 192), (160, 192), (96, 96)])
def test_what_stands_at_a_place_stands_there_in_the_map_that_comes_back(view_size):
    images = ramp(64, 96)
    view = np.asarray(resize_view(images, view_size))
    features = view.reshape(1, view_size[0] // 8, 8, view_size[1] // 8, 8, 3).mean((2, 4))
    back = np.asarray(content_map(features, (64, 96), view_size, (8, 12)))
    wanted = images.reshape(1, 8, 8, 12, 8, 3).mean((2, 4))
    np.testing.assert_allclose(back[:, 1:-1, 1:-1], wanted[:, 1:-1, 1:-1], atol=2.0)


def test_scale():
    assert view_scale((192, 192), (320, 384)) == pytest.approx(320 / 192)
