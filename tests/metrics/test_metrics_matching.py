import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_hkd.metrics.detections import as_detections
from keras_hkd.metrics.ground_truth import as_ground_truth
from keras_hkd.metrics.matching import match_detections, ranks_within_image

PERSON = [0, 0, 10, 20]
FAR = [500, 0, 510, 20]


def detections(boxes, scores, image_ids=None):
    ids = [1] * len(boxes) if image_ids is None else image_ids
    return {"image_ids": ids, "boxes": np.reshape(boxes, (-1, 4)), "scores": scores}


@pytest.mark.parametrize(
    ("boxes", "ignore", "found", "scores", "matched", "ignored"),
    [
        pytest.param([], [], [], [], [], [], id="nothing at all"),
        pytest.param([PERSON], [0], [], [], [], [], id="no detection"),
        pytest.param([], [], [PERSON], [0.5], [-1], [0], id="no person"),
        pytest.param([PERSON], [0], [PERSON], [0.5], [0], [0], id="found"),
        pytest.param([PERSON], [0], [FAR], [0.5], [-1], [0], id="elsewhere"),
        pytest.param([PERSON], [0], [PERSON] * 2, [0.5, 0.6], [-1, 0], [0, 0], id="twice"),
        pytest.param(
            [PERSON], [0], [PERSON] * 2, [0.5, 0.5], [0, -1], [0, 0], id="first of equals"
        ),
        pytest.param([PERSON], [1], [PERSON] * 2, [0.5, 0.6], [-1, -1], [1, 1], id="ignored twice"),
        pytest.param([PERSON], [0], [[0, 0, 10, 10]], [0.5], [0], [0], id="exactly half counts"),
        pytest.param([PERSON], [0], [[0, 0, 10, 9.9]], [0.5], [-1], [0], id="below half"),
        pytest.param(
            [[0, 0, 100, 200]], [1], [PERSON], [0.5], [-1], [1], id="ignored: share of detection"
        ),
        pytest.param(
            [[0, 0, 100, 200]], [0], [PERSON], [0.5], [-1], [0], id="person: IoU, not share"
        ),
        pytest.param(
            [PERSON, [0, 0, 10, 14]], [1, 0], [PERSON], [0.5], [1], [0], id="people before ignored"
        ),
        pytest.param(
            [PERSON, PERSON], [0, 0], [PERSON], [0.5], [1], [0], id="last of equal overlaps"
        ),
        pytest.param(
            [PERSON, [0, 0, 10, 16]],
            [0, 0],
            [[0, 0, 10, 19], [0, 0, 10, 20]],
            [0.5, 0.9],
            [1, 0],
            [0, 0],
            id="the better score chooses first",
        ),
    ],
)
def test_hand_worked(boxes, ignore, found, scores, matched, ignored):
    truth = [{"image_id": 1, "boxes": boxes, "ignore": np.array(ignore, bool)}]
    result = match_detections(truth, detections(found, scores))
    assert result.matched.tolist() == matched
    assert result.ignored.tolist() == [bool(i) for i in ignored]


def test_images_do_not_mix():
    truth = [{"image_id": 1, "boxes": [PERSON]}, {"image_id": 2, "boxes": []}]
    result = match_detections(truth, detections([PERSON, PERSON], [0.9, 0.8], [2, 1]))
    assert result.matched.tolist() == [-1, 0]


def test_flags_can_be_given():
    truth = [{"image_id": 1, "boxes": [PERSON]}]
    result = match_detections(truth, detections([PERSON], [0.9]), ignored=[True])
    assert result.ignored.tolist() == [True]
    assert not result.false_positive.any()


def test_boxes_without_area_match_nothing():
    truth = [{"image_id": 1, "boxes": [[5, 5, 5, 5], PERSON], "ignore": [False, True]}]
    result = match_detections(truth, detections([[5, 5, 5, 5], [5, 5, 5, 9]], [0.9, 0.8]))
    assert result.false_positive.all()


def test_ranks_of_nothing():
    assert ranks_within_image(np.zeros(0, int)).tolist() == []


def loop_matching(truth, found, threshold):
    """Greedy matching as one would write it down: one detection after the other."""
    matched = np.full(len(found), -1)
    ignored = np.zeros(len(found), bool)
    taken = set()
    for d in np.argsort(-found.scores, kind="stable"):
        best, best_iou = -1, threshold
        for g in range(len(truth.boxes)):
            if truth.image_index[g] != found.image_index[d]:
                continue
            iou, share = overlap(found.boxes[d], truth.boxes[g])
            if truth.ignore[g]:
                ignored[d] |= share >= threshold
            elif g not in taken and iou >= best_iou:
                best, best_iou = g, iou
        if best >= 0:
            taken.add(best)
            matched[d] = best
    return matched, ignored & (matched < 0)


def overlap(a, b):
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0, 0.0
    common = width * height
    return common / (a[2] * a[3] + b[2] * b[3] - common), common / (a[2] * a[3])


# Few places and few scores, so that ties, exact thresholds and chains of rivals are common.
side = st.integers(0, 6)
box = st.tuples(side, side, st.integers(1, 6), st.integers(1, 6))
xyxy = box.map(lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]])
image = st.tuples(
    st.lists(st.tuples(xyxy, st.booleans()), max_size=6),
    st.lists(st.tuples(xyxy, st.sampled_from([0.1, 0.2, 0.3, 0.9])), max_size=8),
)


@given(st.lists(image, max_size=3), st.sampled_from([0.1, 0.3, 0.5, 0.75]))
def test_equals_a_loop(images, threshold):
    truth = as_ground_truth(
        [
            {"image_id": i, "boxes": [b for b, _ in boxes], "ignore": [g for _, g in boxes]}
            for i, (boxes, _) in enumerate(images)
        ]
    )
    rows = [(i, *d) for i, (_, found) in enumerate(images) for d in found]
    arrays = detections([b for _, b, _ in rows], [s for _, _, s in rows], [i for i, _, _ in rows])
    found = as_detections(arrays, truth)
    result = match_detections(truth, found, threshold)
    matched, ignored = loop_matching(truth, found, threshold)
    assert result.matched.tolist() == matched.tolist()
    assert result.ignored.tolist() == ignored.tolist()
