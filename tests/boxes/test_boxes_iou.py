"""Overlap of boxes, against values worked out by hand and a plain loop."""

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import ops

from keras_hkd.boxes.iou import (
    area,
    pairwise_distance_iou,
    pairwise_intersection_over_area,
    pairwise_iou,
)


def boxes_of(max_boxes=6):
    """Boxes with corners on a coarse grid, so that shared edges and equal boxes are common."""
    corners = hnp.arrays(
        numpy.float64, st.tuples(st.integers(0, max_boxes), st.just(4)), elements=st.integers(0, 9)
    )
    return corners.map(
        lambda c: numpy.concatenate(
            [numpy.minimum(c[:, :2], c[:, 2:]), numpy.maximum(c[:, :2], c[:, 2:])], axis=1
        )
    )


def one_iou(a, b):
    """One pair, from the definition."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    shared = width * height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union if union > 0 else 0.0


@given(boxes_of(), boxes_of())
def test_iou_equals_the_definition_pair_by_pair(a, b):
    expected = [[one_iou(x, y) for y in b] for x in a]
    numpy.testing.assert_allclose(
        pairwise_iou(a, b), numpy.reshape(expected, (len(a), len(b))), atol=1e-12
    )


def one_distance(a, b):
    """Squared distance of the centres over the squared diagonal of what holds both."""
    shift = numpy.hypot((a[0] + a[2] - b[0] - b[2]) / 2, (a[1] + a[3] - b[1] - b[3]) / 2)
    across = numpy.hypot(max(a[2], b[2]) - min(a[0], b[0]), max(a[3], b[3]) - min(a[1], b[1]))
    return (shift / across) ** 2 if across > 0 else 0.0


@given(boxes_of(), boxes_of())
def test_distance_iou_equals_the_definition_pair_by_pair(a, b):
    expected = [[one_iou(x, y) - one_distance(x, y) for y in b] for x in a]
    found = pairwise_distance_iou(a, b)
    numpy.testing.assert_allclose(found, numpy.reshape(expected, (len(a), len(b))), atol=1e-12)
    assert ((found >= -1) & (found <= 1)).all()


@given(boxes_of(), boxes_of())
def test_iou_is_symmetric_bounded_and_one_with_itself(a, b):
    overlap = pairwise_iou(a, b)
    numpy.testing.assert_array_equal(overlap, pairwise_iou(b, a).T)
    assert ((overlap >= 0) & (overlap <= 1)).all()
    numpy.testing.assert_array_equal(numpy.diag(pairwise_iou(a, a)), area(a) > 0)


@given(boxes_of(), boxes_of())
def test_intersection_over_area_is_iou_times_union_over_area(a, b):
    share = pairwise_intersection_over_area(a, b)
    shared = pairwise_iou(a, b) * (area(a)[:, None] + area(b)[None, :])
    shared = shared / (1.0 + pairwise_iou(a, b))  # |a n b| = iou / (1 + iou) * (|a| + |b|)
    areas = area(a)[:, None]
    expected = numpy.where(areas > 0, shared / numpy.where(areas > 0, areas, 1.0), 0.0)
    numpy.testing.assert_allclose(share, expected, atol=1e-12)


@pytest.mark.parametrize(
    "function", [pairwise_iou, pairwise_distance_iou, pairwise_intersection_over_area]
)
def test_numpy_and_keras_agree_on_a_batch(function):
    generator = numpy.random.default_rng(0)
    a = generator.uniform(0, 50, (2, 5, 4)).astype("float32")
    b = generator.uniform(0, 50, (2, 3, 4)).astype("float32")
    a[..., 2:] += a[..., :2]
    b[..., 2:] += b[..., :2]
    expected = function(a, b)
    assert expected.shape == (2, 5, 3)
    found = function(ops.array(a), ops.array(b), xp=ops)
    numpy.testing.assert_allclose(ops.convert_to_numpy(found), expected, atol=1e-6)


def test_one_set_of_boxes_meets_a_batch_of_sets():
    anchors = numpy.array([[0.0, 0.0, 2.0, 2.0], [4.0, 4.0, 6.0, 6.0]])
    people = numpy.stack([anchors, anchors[::-1]])
    overlap = pairwise_iou(anchors, people)
    numpy.testing.assert_array_equal(overlap, [numpy.eye(2), numpy.eye(2)[::-1]])


def test_padding_and_inverted_boxes_overlap_with_nothing():
    broken = numpy.array([[-1.0, -1.0, -1.0, -1.0], [5.0, 5.0, 1.0, 1.0]])
    wide = numpy.array([[-9.0, -9.0, 9.0, 9.0], [-1.0, -1.0, -1.0, -1.0]])
    assert not pairwise_iou(broken, wide).any()
    assert not pairwise_intersection_over_area(broken, wide).any()
    assert not area(broken).any()
