"""Points inside boxes."""

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import ops

from keras_hkd.boxes.containment import inside_any


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


@given(
    hnp.arrays(numpy.float64, (5, 2), elements=st.integers(-2, 8)),
    hnp.arrays(
        numpy.float64, st.tuples(st.integers(0, 3), st.just(4)), elements=st.integers(-2, 8)
    ),
)
def test_equals_a_plain_loop(points, boxes):
    expected = [any(b[0] < x < b[2] and b[1] < y < b[3] for b in boxes) for x, y in points]
    assert inside_any(points, boxes).tolist() == expected
