"""Box formats: round trips through every pair, and numbers worked out by hand."""

import itertools

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import ops

from keras_hkd.boxes.formats import FORMATS, convert

IMAGE_SIZE = (40, 80)  # height, width
BOX = {
    "xyxy": [8.0, 10.0, 24.0, 30.0],
    "xywh": [8.0, 10.0, 16.0, 20.0],
    "center_xywh": [16.0, 20.0, 16.0, 20.0],
    "rel_xyxy": [0.1, 0.25, 0.3, 0.75],
    "rel_yxyx": [0.25, 0.1, 0.75, 0.3],
}


@pytest.mark.parametrize(("source", "target"), list(itertools.product(FORMATS, FORMATS)))
@pytest.mark.parametrize("xp", [numpy, ops], ids=["numpy", "keras"])
def test_every_conversion_of_one_box(source, target, xp):
    boxes = xp.array([[BOX[source]]], "float32")
    found = ops.convert_to_numpy(convert(boxes, source, target, IMAGE_SIZE, xp=xp))
    numpy.testing.assert_allclose(found, [[BOX[target]]], rtol=1e-6)


@given(
    hnp.arrays(numpy.float64, (3, 4), elements=st.floats(-1e3, 1e3, width=32)),
    st.sampled_from(FORMATS),
    st.tuples(st.integers(1, 2000), st.integers(1, 2000)),
)
def test_round_trip_through_any_format(boxes, target, image_size):
    there = convert(boxes, "xyxy", target, image_size)
    back = convert(there, target, "xyxy", image_size)
    numpy.testing.assert_allclose(back, boxes, atol=1e-9)


def test_no_boxes_stay_no_boxes():
    assert convert(numpy.zeros((2, 0, 4)), "xyxy", "center_xywh").shape == (2, 0, 4)


def test_unknown_format_shows_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'xywh'.*Received: 'xywhh'"):
        convert(numpy.zeros((1, 4)), "xywhh", "xyxy")
    with pytest.raises(ValueError, match="must be one of"):
        convert(numpy.zeros((1, 4)), "xyxy", None)


@pytest.mark.parametrize("name", ["rel_xyxy", "rel_yxyx"])
def test_relative_formats_need_the_image_size(name):
    with pytest.raises(ValueError, match=r"pass image_size=\(height, width\)"):
        convert(numpy.zeros((1, 4)), "xyxy", name)
    with pytest.raises(ValueError, match="needs the image size"):
        convert(numpy.zeros((1, 4)), name, "xyxy")
