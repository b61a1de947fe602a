"""Where tiles and pasted people go, for any numbers that are drawn."""

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_hkd.data.batches.augmentation import Augmentation, plan_views, view_boxes
from keras_hkd.data.batches.mosaics import tile_view, tiles
from keras_hkd.data.batches.pasted_people import EDGE, covered_shares, paste

FRAME = (48, 64)
unit = st.floats(0, 1, width=32, exclude_max=True)
draws = st.lists(unit, min_size=11, max_size=11)
sides = st.tuples(st.floats(5, 48, width=32), st.floats(5, 64, width=32))


@given(unit, unit)
@settings(max_examples=30, deadline=None)
def test_four_tiles_cover_every_pixel_once(y, x):
    count = np.zeros(FRAME, int)
    for tile in tiles(tf.constant([[y, x]]), FRAME):
        x1, y1, x2, y2 = tile[0].numpy()
        assert all(float(value).is_integer() for value in (x1, y1, x2, y2))
        count[int(y1) : int(y2), int(x1) : int(x2)] += 1
    assert (count == 1).all()


@given(draws, sides, unit, unit, st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_a_picture_fills_its_tile_or_reaches_the_middle(numbers, content, y, x, which):
    augmentation = Augmentation()
    numbers, content = tf.constant([numbers], tf.float32), tf.constant([content], tf.float32)
    own = plan_views(augmentation, numbers, content, FRAME)
    tile = tiles(tf.constant([[y, x]]), FRAME)[which]
    view = tile_view(augmentation, numbers, content, tile, which, own, FRAME[1])
    picture = np.array([[[0, 0, content[0, 1], content[0, 0]]]], np.float32)
    shown, _ = view_boxes(picture, view, FRAME, tile)
    shown, tile = shown[0, 0].numpy(), tile[0].numpy()
    low, high = np.exp(np.log(augmentation.mosaic_scale))
    zoom = np.sqrt(np.prod(view.scales[0]))
    assert low - 1e-3 <= zoom <= high + 1e-3
    for axis in (0, 1):
        extent = float(view.extents[0, 1 - axis])
        room = tile[axis + 2] - tile[axis]
        np.testing.assert_allclose(shown[axis + 2] - shown[axis], min(extent, room), atol=0.01)
        ends = which % 2 == 0 if axis == 0 else which // 2 == 0
        middle, touches = (tile[axis + 2], shown[axis + 2]) if ends else (tile[axis], shown[axis])
        np.testing.assert_allclose(touches, middle, atol=0.01)


@given(draws, sides, st.tuples(unit, unit))
@settings(max_examples=60, deadline=None)
def test_who_is_pasted_stays_on_the_floor_and_keeps_their_shape(numbers, person, corner):
    augmentation = Augmentation()
    height, width = person
    box = np.array([[9, 7, 9 + width, 7 + height]], np.float32)
    floor = np.array([[20 * corner[0], 15 * corner[1], 60, 45]], np.float32)
    placed = paste(
        augmentation, tf.constant([numbers], tf.float32), tf.constant(box),
        tf.constant([[90.0, 120.0]]), tf.constant(floor), FRAME,
    )  # fmt: skip
    moved, _ = view_boxes(
        box[:, None], placed.view, (4000, FRAME[1]), np.array([[-1e4] * 2 + [1e4] * 2], np.float32)
    )
    np.testing.assert_allclose(moved[:, 0], placed.boxes, atol=0.02)
    x1, y1, x2, y2 = placed.boxes[0].numpy()
    np.testing.assert_allclose((x2 - x1) / (y2 - y1), width / height, rtol=1e-3)
    np.testing.assert_allclose(placed.edges[0], EDGE * min(x2 - x1, y2 - y1), rtol=1e-3)
    if placed.fit[0]:
        outer = placed.rectangles[0].numpy()
        assert (outer[:2] >= floor[0, :2] - 0.01).all() and (outer[2:] <= floor[0, 2:] + 0.01).all()


def test_covered_shares_by_hand():
    boxes = tf.constant([[[0.0, 0, 10, 10], [20, 20, 30, 40], [-1, -1, -1, -1]]])
    shares = covered_shares(tf.constant([[5.0, 0, 25, 30]]), boxes)
    np.testing.assert_allclose(shares, [[0.5, 0.25, 0.0]])
