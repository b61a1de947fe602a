"""Boxes at the image's edge, and points inside boxes."""

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import ops

from keras_hkd.boxes.geometry import clip, inside_any
from keras_hkd.boxes.iou import area


@pytest.mark.parametrize("xp", [numpy, ops], ids=["numpy", "keras"])
def test_each_side_is_cut_at_its_own_edge(xp):
    boxes = xp.array([[[-5.0, -6.0, 90.0, 50.0], [1.0, 2.0, 3.0, 4.0]]])
    found = ops.convert_to_numpy(clip(boxes, (40, 80), xp=xp))
    numpy.testing.assert_array_equal(found, [[[0, 0, 80, 40], [1, 2, 3, 4]]])


@pytest.mark.parametrize(
    "box", [[-9, 1, -2, 5], [81, 1, 99, 5], [1, -9, 5, -2], [1, 41, 5, 60]], ids=str
)
def test_a_box_outside_gets_area_0(box):
    assert area(clip(numpy.array([box], "float64"), (40, 80))).tolist() == [0.0]


@given(hnp.arrays(numpy.float64, (4, 4), elements=st.floats(-200, 200)))
def test_clipping_twice_changes_nothing_and_stays_inside(boxes):
    once = clip(boxes, (40, 80))
    assert (once >= 0).all()
    assert (once[:, 0::2] <= 80).all()
    assert (once[:, 1::2] <= 40).all()
    numpy.testing.assert_array_equal(clip(once, (40, 80)), once)
    inside = (boxes >= 0) & (boxes <= [80, 40, 80, 40])
    numpy.testing.assert_array_equal(once[inside], boxes[inside])


@pytest.mark.parametrize("xp", [numpy, ops], ids=["numpy", "keras"])
def test_a_batch_of_boxes_with_padding(xp):
    points = xp.array([[1.0, 1.0], [9.0, 9.0], [-1.0, -1.0]])
    boxes = xp.array(
        [
            [[0.0, 0.0, 2.0, 2.0], [-1.0, -1.0, -1.0, -1.0]],
            [[0.0, 0.0, 2.0, 2.0], [8.0, 8.0, 12.0, 9.5]],
        ]
    )
    found = ops.convert_to_numpy(inside_any(points, boxes, xp=xp))
    assert found.tolist() == [[True, False, False], [True, True, False]]


def test_upper_and_left_edges_belong_to_a_box():
    points = numpy.array([[0.0, 0.0], [0.0, 8.0], [8.0, 0.0], [16.0, 8.0], [8.0, 16.0]])
    assert inside_any(points, numpy.array([[0.0, 0.0, 16.0, 16.0]])).tolist() == [
        *(True, True, True),
        *(False, False),
    ]


@given(
    hnp.arrays(numpy.float64, (5, 2), elements=st.integers(-2, 8)),
    hnp.arrays(
        numpy.float64, st.tuples(st.integers(0, 3), st.just(4)), elements=st.integers(-2, 8)
    ),
)
def test_equals_a_plain_loop(points, boxes):
    expected = [any(b[0] <= x < b[2] and b[1] <= y < b[3] for b in boxes) for x, y in points]
    assert inside_any(points, boxes).tolist() == expected
