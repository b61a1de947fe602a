"""Labels of boxes: shapes, padding, and boxes that are none."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from keras_hkd.box_labels import checked_shapes, padded, without_false_boxes

ROWS = [[[1.0, 2.0, 9.0, 8.0]], [[3.0, 1.0, 7.0, 9.0], [0.0, 0.0, 4.0, 4.0]]]
PADDED = np.array([[ROWS[0][0], [-1] * 4], ROWS[1]], "float32")


@pytest.mark.parametrize(
    "boxes",
    [
        tf.ragged.constant(ROWS, ragged_rank=1, inner_shape=(4,)),
        tf.ragged.constant(ROWS),
        [np.array(rows) for rows in ROWS],
        np.array([np.array(rows) for rows in ROWS], object),
    ],
)
def test_ragged_boxes_are_padded(boxes):
    np.testing.assert_array_equal(padded(boxes), PADDED)
    labels = checked_shapes({"boxes": boxes, "classes": tf.ragged.constant([[0.0], [1.0, 0.0]])})
    np.testing.assert_array_equal(labels["classes"], [[0, -1], [1, 0]])


def test_an_image_without_boxes_is_padded_too():
    np.testing.assert_array_equal(padded([np.zeros((0, 4)), PADDED[1]])[0], -np.ones((2, 4)))
    assert padded([np.zeros((0, 4)), np.zeros((0, 4))]).shape == (2, 0, 4)
    assert padded(PADDED) is PADDED


@pytest.mark.parametrize(
    "labels",
    [
        None,
        PADDED,
        {"boxes": PADDED},
        {"boxes": PADDED, "classes": np.zeros(2)},
        {"boxes": PADDED, "classes": np.zeros((2, 3))},
        {"boxes": PADDED, "classes": np.zeros((2, 2, 7))},
        {"boxes": PADDED[..., :3], "classes": np.zeros((2, 2))},
        {"boxes": PADDED[0], "classes": np.zeros((2, 2))},
        {"boxes": "none", "classes": np.zeros((2, 2))},
    ],
)
def test_other_shapes_are_refused_with_those_that_are_wanted(labels):
    with pytest.raises(ValueError, match=r"'boxes' \(batch, n, 4\) in xyxy pixels and 'classes'"):
        checked_shapes(labels)


def test_classes_may_have_an_axis_of_one_behind():
    labels = checked_shapes({"boxes": PADDED, "classes": np.zeros((2, 2, 1))})
    assert tuple(labels["classes"].shape) == (2, 2)


COORDINATES = st.one_of(
    st.integers(-3, 12).map(float), st.sampled_from([np.nan, np.inf, -np.inf, 3e38, 1e7])
)


@given(
    boxes=hnp.arrays("float32", (2, 3, 4), elements=COORDINATES),
    classes=hnp.arrays("float32", (2, 3), elements=st.sampled_from([-2, -1, 0, 1, 2, 0.5, np.nan])),
)
def test_what_is_no_box_becomes_padding_and_all_else_stays(boxes, classes):
    found = without_false_boxes({"boxes": boxes, "classes": classes, "more": 1}, num_classes=2)
    for image, row in np.ndindex(2, 3):
        left, top, right, bottom = box = boxes[image, row].tolist()
        sound = all(abs(value) < 1e6 for value in box) and left < right and top < bottom
        kept = sound and classes[image, row] in (0, 1)
        expected = (box, classes[image, row]) if kept else ([-1.0] * 4, -1.0)
        assert found["boxes"][image, row].numpy().tolist() == expected[0]
        assert float(found["classes"][image, row]) == expected[1]
    assert found["more"] == 1
