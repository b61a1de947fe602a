"""Views: what is drawn at random, and that boxes go where the pixels go."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_hkd.data.batches.augmentation import (
    NO_AUGMENTATION,
    Augmentation,
    change_colours,
    draw_numbers,
    plan_views,
    view_boxes,
)

FRAME = (48, 64)
_SCALE, _ASPECT, _PLACE_Y, _PLACE_X, _SHIFT_Y, _SHIFT_X, _FLIP = range(7)
_CONTRAST, _SATURATION, _HUE, _BRIGHTNESS = range(7, 11)


def make_view(augmentation, draws=None, content=(40.0, 60.0), **chosen):
    """One view; draws are 0.5 (the middle of each range, no flip) but for the chosen."""
    row = np.full(11, 0.5, np.float32) if draws is None else np.array(draws, np.float32)
    for place, value in chosen.items():
        row[globals()[place]] = value
    return plan_views(augmentation, tf.constant(row[None]), tf.constant([content]), FRAME)


def test_no_augmentation_is_the_letterboxed_image():
    for draws in np.random.default_rng(0).random((5, 11)):
        view = make_view(NO_AUGMENTATION, draws)
        boxes = np.array([[[1.0, 2, 30, 40], [0, 0, 60, 40]]], np.float32)
        moved, visible = view_boxes(boxes, view, FRAME)
        np.testing.assert_array_equal(moved, boxes)
        np.testing.assert_array_equal(visible, np.ones((1, 2)))
        pixels = np.random.default_rng(1).uniform(0, 255, (1, *FRAME, 3)).astype(np.float32)
        np.testing.assert_allclose(change_colours(tf.constant(pixels), view), pixels, atol=1e-3)


def test_scale_is_log_uniform_between_its_bounds():
    quiet = Augmentation(aspect=(1, 1), scale=(0.5, 2.0))
    for draw, expected in [(0.0, 0.5), (0.25, 0.5**0.5), (0.5, 1.0), (1.0, 2.0)]:
        scales = make_view(quiet, _SCALE=draw).scales
        np.testing.assert_allclose(scales, [[expected, expected]], rtol=1e-6)


def test_aspect_changes_width_over_height_and_keeps_the_area():
    view = make_view(Augmentation(scale=(1, 1), aspect=(0.8, 1.25)), _ASPECT=1.0)
    (y, x) = view.scales[0].numpy()
    assert x / y == pytest.approx(1.25, rel=1e-5) and x * y == pytest.approx(1, rel=1e-5)


def test_flip_mirrors_about_the_frame():
    view = make_view(Augmentation(scale=(1, 1), aspect=(1, 1), translate=0), _FLIP=0.2,
                     _PLACE_Y=0.0, _PLACE_X=0.0)  # fmt: skip
    moved, _ = view_boxes(np.array([[[10.0, 5, 20, 30]]], np.float32), view, FRAME)
    np.testing.assert_allclose(moved, [[[44, 5, 54, 30]]], atol=1e-5)
    assert not make_view(Augmentation(flip=False), _FLIP=0.2).flips[0]
    assert not make_view(Augmentation(), _FLIP=0.7).flips[0]


def test_a_smaller_picture_lies_anywhere_within_the_frame():
    still = Augmentation(scale=(0.5, 0.5), aspect=(1, 1), translate=0)
    for place, offset in [(0.0, (0, 0)), (1.0, (48 - 20, 64 - 30))]:
        view = make_view(still, _PLACE_Y=place, _PLACE_X=place)
        np.testing.assert_allclose(view.offsets, [offset], atol=1e-4)


def test_translate_shifts_by_a_fraction_of_the_frame():
    still = Augmentation(scale=(1, 1), aspect=(1, 1), translate=0.25)
    low, high = (make_view(still, _SHIFT_X=x).offsets[0, 1].numpy() for x in (0.0, 1.0))
    assert high - low == pytest.approx(0.5 * 64, rel=1e-5)


def test_visible_fraction_worked_out_by_hand():
    view = make_view(NO_AUGMENTATION)
    boxes = np.array([[[-5, 0, 5, 10], [60, 40, 70, 56], [70, 0, 80, 9], [3, 3, 3, 9]]], np.float32)
    moved, visible = view_boxes(boxes, view, FRAME)
    np.testing.assert_allclose(visible, [[0.5, 0.4 * 0.5, 0.0, 0.0]], rtol=1e-6)
    np.testing.assert_allclose(moved[0, :2], [[0, 0, 5, 10], [60, 40, 64, 48]])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1, width=32), min_size=11, max_size=11))
def test_boxes_stay_in_the_frame_and_fractions_between_0_and_1(draws):
    view = make_view(Augmentation(), draws)
    boxes = np.array([[[0, 0, 60, 40], [10, 10, 12, 13], [59, 39, 60, 40]]], np.float32)
    moved, visible = (value.numpy() for value in view_boxes(boxes, view, FRAME))
    assert (moved >= 0).all() and (moved <= [64, 48, 64, 48]).all()
    assert (moved[..., 2:] >= moved[..., :2]).all()
    assert (visible >= 0).all() and (visible <= 1 + 1e-5).all()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 1, width=32), min_size=11, max_size=11))
def test_colours_stay_in_range_and_padding_stays_grey(draws):
    view = make_view(Augmentation(scale=(0.5, 0.5), aspect=(1, 1), brightness=0.5), draws)
    pixels = np.full((1, *FRAME, 3), 114, np.float32)
    top, left = np.round(view.offsets[0]).astype(int)
    inside = np.zeros(FRAME, bool)
    inside[max(top, 0) : top + 20, max(left, 0) : left + 30] = True
    if view.flips[0]:
        inside = inside[:, ::-1]
    pixels[0, inside] = np.random.default_rng(0).uniform(0, 255, (inside.sum(), 3))
    changed = change_colours(tf.constant(pixels), view).numpy()
    assert changed.min() >= 0 and changed.max() <= 255
    np.testing.assert_allclose(changed[0, ~inside], 114, atol=1e-3)


def apply_to(colour, **chosen):
    view = make_view(Augmentation(hue=0.5), content=(48.0, 64.0), **chosen)
    still = dict(scales=1.0, offsets=0.0)
    for name, value in still.items():
        object.__setattr__(view, name, tf.fill((1, 2), value))
    object.__setattr__(view, "extents", tf.constant([[48.0, 64.0]]))
    pixels = tf.broadcast_to(tf.constant(colour, tf.float32), (1, *FRAME, 3))
    return change_colours(pixels, view).numpy()[0, 20, 20]


def test_brightness_adds_and_contrast_stretches_about_114():
    brighter = apply_to([100, 60, 20], _BRIGHTNESS=1.0)
    np.testing.assert_allclose(brighter, np.array([100, 60, 20]) + 0.12 * 255, rtol=1e-4)
    harder = apply_to([100, 60, 140], _CONTRAST=1.0)
    np.testing.assert_allclose(harder, np.array([-14, -54, 26]) * 1.3 + 114, rtol=1e-4)


def test_saturation_and_hue_keep_grey_and_luma():
    luma = np.array([0.299, 0.587, 0.114])
    for chosen in ({"_SATURATION": 0.0}, {"_SATURATION": 1.0}, {"_HUE": 0.7}):
        np.testing.assert_allclose(apply_to([90, 90, 90], **chosen), 90, atol=0.1)
        changed = apply_to([120, 90, 70], **chosen)
        assert changed @ luma == pytest.approx(np.array([120, 90, 70]) @ luma, abs=0.1)
        assert np.abs(changed - [120, 90, 70]).max() > 3


def test_full_desaturation_gives_grey():
    view = make_view(Augmentation(saturation=1.0), _SATURATION=0.0, content=(96.0, 128.0))
    pixels = tf.broadcast_to(tf.constant([200.0, 50, 10]), (1, *FRAME, 3))
    changed = change_colours(pixels, view).numpy()[0, 24, 32]
    assert np.ptp(changed) < 0.5


def test_draws_are_a_function_of_seed_and_epoch():
    first = draw_numbers(3, tf.constant(5, tf.int64), 7)
    np.testing.assert_array_equal(first, draw_numbers(3, tf.constant(5, tf.int64), 7))
    for seed, epoch in [(4, 5), (3, 6), (5, 3)]:
        assert not np.array_equal(first, draw_numbers(seed, tf.constant(epoch, tf.int64), 7))
    assert first.shape == (7, 11)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scale", (1.6, 0.6)),
        ("scale", 1.0),
        ("scale", (0, 1)),
        ("scale", (1, 2, 3)),
        ("aspect", (-1, 1)),
        ("aspect", (1, float("inf"))),
        ("translate", -0.1),
        ("brightness", 2),
        ("contrast", float("nan")),
        ("saturation", -1),
        ("hue", 0.6),
        ("min_visible", 1.2),
        ("min_side_px", -1),
    ],
)
def test_values_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be .*Received"):
        Augmentation(**{name: value})
