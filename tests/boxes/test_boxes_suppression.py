"""Non-maximum suppression against a plain greedy loop in NumPy."""

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import ops

from keras_hkd.boxes.iou import pairwise_iou
from keras_hkd.boxes.suppression import non_max_suppression


def greedy(boxes, scores, max_detections, iou_threshold, score_threshold, num_candidates=400):
    """(box, class, score) triples of one image, visited from the best; ties by position."""
    pairs = [(n, c) for n in range(scores.shape[0]) for c in range(scores.shape[1])]
    pairs.sort(key=lambda pair: -scores[pair])  # stable, so equal scores keep their order
    kept = []
    for n, c in pairs[:num_candidates]:
        rivals = boxes[[m for m, d in kept if d == c]]
        if (pairwise_iou(boxes[n : n + 1], rivals) > iou_threshold).any():
            continue
        kept.append((n, c))
    kept = [pair for pair in kept if scores[pair] > score_threshold][:max_detections]
    return [(boxes[n].tolist(), c, float(scores[n, c])) for n, c in kept]


def suppress(boxes, scores, **options):
    """`non_max_suppression` of a batch, as NumPy."""
    found = non_max_suppression(
        ops.array(boxes, "float32"), ops.array(scores, "float32"), **options
    )
    return {key: ops.convert_to_numpy(value) for key, value in found.items()}


def triples(found, image):
    """The detections of one image of the batch, padding left out."""
    count = found["num_detections"][image]
    return [
        (
            found["boxes"][image, i].tolist(),
            found["classes"][image, i],
            found["confidence"][image, i],
        )
        for i in range(count)
    ]


@st.composite
def scenes(draw):
    """Boxes on a coarse grid and scores of few values: overlaps and ties are the rule."""
    num_boxes, num_classes = draw(st.sampled_from([(1, 1), (4, 1), (7, 1), (7, 3)]))
    corners = draw(hnp.arrays(numpy.float32, (2, num_boxes, 2), elements=st.integers(0, 4)))
    sides = draw(hnp.arrays(numpy.float32, (2, num_boxes, 2), elements=st.integers(0, 5)))
    steps = draw(hnp.arrays(numpy.int32, (2, num_boxes, num_classes), elements=st.integers(0, 8)))
    return numpy.concatenate([corners, corners + sides], axis=-1), steps.astype("float32") / 8


@settings(max_examples=40)
@given(scenes(), st.sampled_from([0.0, 0.3, 0.5, 0.9]), st.sampled_from([0.0, 0.25]))
def test_equals_the_greedy_loop(scene, iou_threshold, score_threshold):
    boxes, scores = scene
    options = {
        "max_detections": 5,
        "iou_threshold": iou_threshold,
        "score_threshold": score_threshold,
    }
    found = suppress(boxes, scores, **options)
    assert found["boxes"].shape == (2, 5, 4)
    assert found["classes"].shape == found["confidence"].shape == (2, 5)
    for image in range(2):
        assert triples(found, image) == greedy(boxes[image], scores[image], **options)
        count = found["num_detections"][image]
        for key in ("boxes", "classes", "confidence"):
            assert (found[key][image, count:] == -1).all()


def test_overlapping_boxes_of_two_classes_both_stay():
    boxes = [[[0, 0, 9, 9], [0, 0, 9, 8]]]
    scores = [[[0.9, 0.1], [0.2, 0.8]]]
    found = suppress(boxes, scores, max_detections=4, score_threshold=0.3)
    assert found["num_detections"].tolist() == [2]
    assert found["classes"].tolist() == [[0, 1, -1, -1]]


def test_a_chain_of_overlaps_drops_only_what_a_kept_box_covers():
    # Each box overlaps its neighbours by a third; the middle one goes, and so frees the last.
    boxes = [[[0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10]]]
    scores = [[[0.9], [0.8], [0.7]]]
    found = suppress(boxes, scores, max_detections=3, iou_threshold=0.3)
    numpy.testing.assert_allclose(found["confidence"][0], [0.9, 0.7, -1.0], rtol=1e-6)


@pytest.mark.parametrize("scores", [0.0, 0.01])
def test_nothing_above_the_threshold(scores):
    found = suppress(
        numpy.ones((3, 2, 4)), numpy.full((3, 2, 1), scores), score_threshold=0.01, max_detections=4
    )
    assert found["num_detections"].tolist() == [0, 0, 0]
    for key in ("boxes", "classes", "confidence"):
        assert (found[key] == -1).all()


def test_only_the_best_candidates_are_looked_at():
    boxes = numpy.array([[[20 * i, 0, 20 * i + 9, 9] for i in range(6)]])
    scores = numpy.linspace(0.1, 0.9, 6).reshape(1, 6, 1)
    found = suppress(boxes, scores, num_candidates=2, max_detections=6)
    assert found["num_detections"].tolist() == [2]
    numpy.testing.assert_allclose(found["confidence"][0, :2], [0.9, 0.74], atol=1e-6)


def test_types_of_the_result():
    found = suppress([[[0, 0, 1, 1]]], [[[0.5]]])
    assert {key: str(value.dtype) for key, value in found.items()} == {
        "boxes": "float32",
        "classes": "int32",
        "confidence": "float32",
        "num_detections": "int32",
    }
    assert found["boxes"].shape == (1, 100, 4)
