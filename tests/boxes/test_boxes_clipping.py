"""Boxes at the image's edge."""

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import ops

from keras_hkd.boxes.clipping import clip
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
