"""The letterbox: scale to fit, top left, grey below and right, and exactly back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_hkd.data.batches.letterbox import Letterbox, fit_scale

sizes = st.tuples(st.integers(1, 3000), st.integers(1, 3000))


@given(sizes, sizes, st.lists(st.tuples(*[st.floats(-50, 3050)] * 4), max_size=5))
def test_invert_undoes_apply(source, target, boxes):
    letterbox = Letterbox.fit(source, target)
    boxes = np.array(boxes, np.float64).reshape(-1, 4)
    np.testing.assert_allclose(letterbox.invert(letterbox.apply(boxes)), boxes, atol=1e-6)


@given(sizes, sizes)
def test_the_picture_fits_and_touches_two_sides(source, target):
    letterbox = Letterbox.fit(source, target)
    right, bottom = letterbox.apply([0, 0, source[1], source[0]])[2:]
    assert right <= target[1] + 1e-6 and bottom <= target[0] + 1e-6
    assert np.isclose(right, target[1]) or np.isclose(bottom, target[0])
    height, width = letterbox.content_size
    assert 1 <= height <= target[0] and 1 <= width <= target[1]
    assert height == 1 or abs(height - bottom) <= 0.5 + 1e-6
    assert width == 1 or abs(width - right) <= 0.5 + 1e-6


def test_numbers_worked_out_by_hand():
    letterbox = Letterbox.fit((300, 600), (256, 320))
    assert letterbox.scale == pytest.approx(320 / 600)
    assert letterbox.content_size == (160, 320)
    assert (letterbox.offset_y, letterbox.offset_x) == (0, 0)
    np.testing.assert_allclose(letterbox.apply([[60, 30, 120, 90]]), [[32, 16, 64, 48]])


def test_scales_of_many_sizes_at_once():
    scales = fit_scale(np.array([[10, 20], [40, 20]]), np.array([20, 20]))
    np.testing.assert_allclose(scales, [1.0, 0.5])


def test_no_boxes():
    letterbox = Letterbox.fit((10, 20), (30, 30))
    assert letterbox.apply(np.zeros((0, 4))).shape == (0, 4)
    assert letterbox.invert(np.zeros((0, 4))).shape == (0, 4)


def test_offsets_are_undone_too():
    letterbox = Letterbox((10, 10), (40, 40), 2.0, offset_y=5.0, offset_x=3.0)
    assert letterbox.apply([1, 1, 2, 2]).tolist() == [5, 7, 7, 9]
    assert letterbox.invert([5, 7, 7, 9]).tolist() == [1, 1, 2, 2]


@pytest.mark.parametrize("size", [(40, 60), (400, 600), (33, 77), (425, 640), (100, 3)])
def test_resize_pads_right_and_below_with_grey(size):
    letterbox = Letterbox.fit(size, (64, 64))
    drawn = letterbox.resize(np.full((*size, 3), 200, np.uint8))
    height, width = letterbox.content_size
    assert drawn.shape == (64, 64, 3) and drawn.dtype == np.uint8
    assert (drawn[:height, :width] == 200).all()
    assert (drawn[height:] == 114).all() and (drawn[:, width:] == 114).all()


def test_resize_moves_pixels_as_apply_moves_boxes():
    image = np.zeros((480, 640, 3), np.uint8)
    image[100:300, 200:260] = 255
    letterbox = Letterbox.fit((480, 640), (256, 256))
    lit = np.argwhere(letterbox.resize(image)[..., 0] > 127)
    found = [*lit.min(0)[::-1], *(lit.max(0)[::-1] + 1)]
    np.testing.assert_allclose(found, letterbox.apply([200, 100, 260, 300]), atol=1)


def test_resize_smooths_when_it_shrinks():
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    drawn = Letterbox.fit((256, 256), (64, 64)).resize(stripes)
    assert np.ptp(drawn[8:-8, 8:-8].astype(int)) <= 2


def test_odd_sizes_are_refused():
    with pytest.raises(ValueError, match="`source_size`"):
        Letterbox.fit((0, 5), (5, 5))


def test_resize_refuses_another_image():
    letterbox = Letterbox.fit((10, 20), (30, 30))
    with pytest.raises(ValueError, match=r"shape \(10, 20, 3\).*\(20, 10, 3\)"):
        letterbox.resize(np.zeros((20, 10, 3), np.uint8))
    with pytest.raises(ValueError, match="uint8"):
        letterbox.resize(np.zeros((10, 20, 3), np.float32))


def test_letterbox_and_scenes_load_no_framework(fresh_python):
    code = (
        "import sys, keras_hkd.data.batches.letterbox, keras_hkd.data.drawn.scenes; "
        "assert not {'tensorflow', 'keras', 'jax'} & set(sys.modules)"
    )
    fresh_python(code)


def test_without_antialiasing_pixels_are_read_between_their_neighbours():
    pixels = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)
    letterbox = Letterbox.fit((60, 90), (32, 48))
    found = letterbox.resize(pixels, antialias=False)
    centres_y = (np.arange(32) + 0.5) / letterbox.scale - 0.5
    centres_x = (np.arange(48) + 0.5) / letterbox.scale - 0.5
    y, x = np.floor(centres_y).astype(int), np.floor(centres_x).astype(int)
    fy, fx = (centres_y - y)[:, None, None], (centres_x - x)[None, :, None]
    padded = np.pad(pixels.astype(float), ((0, 1), (0, 1), (0, 0)), mode="edge")
    expected = (
        padded[y][:, x] * (1 - fy) * (1 - fx)
        + padded[y][:, x + 1] * (1 - fy) * fx
        + padded[y + 1][:, x] * fy * (1 - fx)
        + padded[y + 1][:, x + 1] * fy * fx
    )
    assert np.abs(found.astype(float) - expected).max() <= 1.0
    smooth = letterbox.resize(pixels)
    assert smooth.std() < found.std() - 5
