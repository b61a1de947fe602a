"""RoIAlign beside a plain loop over bins and samples, and what must hold for any features."""

import math

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_hkd.hierarchies.roi_align import (
    _form_is_cheaper,
    mean_squares_of_levels,
    roi_align,
    roi_align_of_levels,
)


def bilinear(image, y, x):
    """One sample as the reference kernels take it: clamped to the map, four neighbours."""
    height, width, _ = image.shape
    y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
    top, left = math.floor(y), math.floor(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    dy, dx = y - top, x - left
    upper = (1 - dx) * image[top, left] + dx * image[top, right]
    lower = (1 - dx) * image[bottom, left] + dx * image[bottom, right]
    return (1 - dy) * upper + dy * lower


def loop(image, box, stride, bins, samples):
    """RoIAlign of one box, `aligned=True`: half a cell is taken off the coordinates."""
    x1, y1, x2, y2 = (float(side) / stride - 0.5 for side in box)
    bin_height, bin_width = (y2 - y1) / bins, (x2 - x1) / bins
    result = np.zeros((bins, bins, image.shape[-1]))
    for i in range(bins):
        for j in range(bins):
            for iy in range(samples):
                for ix in range(samples):
                    y = y1 + (i + (iy + 0.5) / samples) * bin_height
                    x = x1 + (j + (ix + 0.5) / samples) * bin_width
                    result[i, j] += bilinear(image, y, x) / samples**2
    return result


@pytest.mark.parametrize(("bins", "samples"), [(7, 2), (1, 1), (3, 4)])
def test_equals_the_loop(bins, samples):
    generator = np.random.default_rng(0)
    features = generator.normal(size=(2, 6, 9, 3)).astype("float32")
    corners = generator.uniform(0, [36, 24], (2, 5, 2))
    boxes = np.concatenate([corners, corners + generator.uniform(1, 36, (2, 5, 2))], -1)
    boxes[0, 0] = (0, 0, 72, 48)  # the whole map
    boxes[0, 1] = (-9, -9, 90, 60)  # beyond it
    got = roi_align(features, boxes.astype("float32"), 8, bins, samples)
    for image in range(2):
        for region in range(5):
            wanted = loop(features[image], boxes[image, region], 8, bins, samples)
            np.testing.assert_allclose(got[image, region], wanted, atol=1e-5)


side = st.floats(-20, 100, width=32)


@settings(max_examples=25)
@given(st.tuples(side, side, side, side))
def test_constant_features_give_the_constant_in_any_box(box):
    features = np.full((1, 5, 6, 2), 3.5, "float32")
    got = roi_align(features, np.array([[box]], "float32"), 8)
    np.testing.assert_allclose(got, 3.5, rtol=1e-5)


def test_a_ramp_gives_its_value_at_the_centre_of_every_bin():
    # The value of a cell is the x, in pixels, of its centre: a linear map is sampled exactly.
    features = np.broadcast_to((np.arange(10) + 0.5)[None, None, :, None] * 8, (1, 10, 10, 1))
    got = roi_align(features.astype("float32"), np.array([[[12.0, 16.0, 68.0, 40.0]]]), 8)
    wanted = 12 + (np.arange(7) + 0.5) * 8
    np.testing.assert_allclose(got[0, 0, :, :, 0], np.tile(wanted, (7, 1)), rtol=1e-6)


def test_is_linear_in_the_features_with_the_gradient_that_says_so():
    tf = pytest.importorskip("tensorflow")
    generator = np.random.default_rng(0)
    features = tf.constant(generator.normal(size=(1, 6, 6, 2)), tf.float32)
    box = tf.constant([[[9.0, 5.0, 30.0, 43.0]]])
    pull = tf.constant(generator.normal(size=(1, 1, 7, 7, 2)), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(features)
        pulled = tf.reduce_sum(roi_align(features, box, 8) * pull)
        mean = tf.reduce_mean(roi_align(features, box, 8))
    gradient = tape.gradient(pulled, features)
    assert float(tf.reduce_sum(gradient * features)) == pytest.approx(float(pulled), rel=1e-4)
    assert float(tf.reduce_sum(tape.gradient(mean, features))) == pytest.approx(1.0, rel=1e-5)


def test_reads_nothing_more_than_a_cell_outside_the_box():
    features = np.zeros((1, 10, 10, 1), "float32")
    box = np.array([[[24.0, 24.0, 48.0, 48.0]]])
    features[:, 2:7, 2:7] = 1.0
    inside = roi_align(features, box, 8)
    features[:, :2], features[:, 7:] = 1e6, -1e6
    features[:, :, :2], features[:, :, 7:] = 1e6, -1e6
    np.testing.assert_array_equal(inside, roi_align(features, box, 8))


def test_keeps_the_dtype_of_the_features():
    features = ops.ones((1, 4, 4, 2), "bfloat16")
    got = roi_align(features, ops.array([[[0.0, 0.0, 9.0, 9.0]]]), 8)
    assert keras.backend.standardize_dtype(got.dtype) == "bfloat16"


def test_no_regions_give_no_features():
    got = roi_align(np.ones((2, 4, 4, 3), "float32"), np.zeros((2, 0, 4), "float32"), 8)
    assert tuple(got.shape) == (2, 0, 7, 7, 3)


def test_several_levels_at_once_are_the_levels_one_by_one():
    generator = np.random.default_rng(0)
    maps = [generator.normal(size=(2, *size, 3)).astype("float32") for size in ((8, 6), (4, 7))]
    start = generator.uniform(0, 30, (2, 4, 2))
    boxes = np.concatenate([start, start + generator.uniform(4, 30, (2, 4, 2))], -1)
    level = np.array([[0, 1, 1, 2], [1, 0, 2, 0]])  # 2 is of no map
    chosen = [(level == number).astype("float32") for number in (0, 1)]
    together = roi_align_of_levels(maps, boxes.astype("float32"), (8, 16), chosen)
    alone = [
        np.asarray(roi_align(features, boxes.astype("float32"), stride))
        for features, stride in zip(maps, (8, 16), strict=True)
    ]
    for place in np.ndindex(level.shape):
        wanted = 0 * alone[0][place] if level[place] == 2 else alone[level[place]][place]
        np.testing.assert_allclose(together[place], wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("size", "as_form"), [(6, True), (40, False)])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_mean_squares_and_their_gradients_are_those_of_the_features(size, as_form, dtype):
    import tensorflow as tf

    generator = np.random.default_rng(1)
    shapes = [(3, size, size - 1, 5), (3, size // 2, size // 2, 5)]
    maps = [tf.constant(generator.normal(size=shape), dtype) for shape in shapes]
    start = generator.uniform(0, 5 * size, (3, 4, 2))
    boxes = np.concatenate([start, start + generator.uniform(4, 4 * size, (3, 4, 2))], -1)
    boxes = boxes.astype("float32")
    level = np.array([[0, 1, 1, 2], [1, 0, 2, 0], [2, 2, 2, 2]])  # 2 is of no map
    chosen = [(level == number).astype("float32") for number in (0, 1)]
    assert _form_is_cheaper(maps, 4, 7) is as_form
    pull = np.array([1.0, -2.0, 3.0], "float32")
    with tf.GradientTape() as tape:
        tape.watch(maps)
        got = mean_squares_of_levels(maps, boxes, (8, 16), chosen)
        pulled = tf.reduce_sum(got * pull)
    gradients = tape.gradient(pulled, maps)
    with tf.GradientTape() as tape:
        tape.watch(maps)
        features = roi_align_of_levels(maps, boxes, (8, 16), chosen)
        sums = tf.reduce_sum(tf.cast(features, "float32") ** 2, axis=(1, 2, 3, 4))
        wanted = sums / np.array([3, 3, 1]) / (49 * 5)
        pulled = tf.reduce_sum(wanted * pull)
    wanted_gradients = tape.gradient(pulled, maps)
    tolerance = {"float32": 1e-5, "float16": 4e-3}[dtype]
    np.testing.assert_allclose(got, wanted, rtol=tolerance)
    assert float(got[2]) == 0.0
    for a, b in zip(gradients, wanted_gradients, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max())


def test_many_regions_of_one_place_do_not_overflow_in_half_precision():
    features = ops.full((1, 4, 4, 2), 200.0, "float16")
    boxes = np.tile(np.array([16.0, 16.0, 16.5, 16.5], "float32"), (1, 16, 1))
    got = mean_squares_of_levels([features], boxes, [8], [np.ones((1, 16), "float32")])
    np.testing.assert_allclose(got, [40000.0], rtol=1e-3)
