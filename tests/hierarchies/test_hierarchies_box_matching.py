"""A teacher's detections at the student's anchors, by the student's own rule."""

import types

import numpy as np
import pytest
from keras import ops

from keras_hkd.detectors.detector import Assignment
from keras_hkd.hierarchies import match_detections
from keras_hkd.hierarchies.box_matching import BACKGROUND_SCORE

SIZE = (64, 64)
PEOPLE = np.array([[[0, 0, 10, 20], [30, 10, 50, 60], [-1, -1, -1, -1]]], "float32")


def detections(boxes=PEOPLE, confidence=(0.9, 0.4, -1.0), classes=(0, 0, -1)):
    return {
        "boxes": boxes,
        "classes": np.array([classes], "int32"),
        "confidence": np.array([confidence], "float32"),
    }


def student_of(fits, targets, num_classes=1):
    """A student whose rule is given: fit and target box of each of its anchors."""

    def assign(outputs, labels, image_size):
        scores = np.zeros((1, len(fits), num_classes), "float32")
        scores[0, :, 0] = fits
        boxes = np.array([[labels["boxes"][0, t] for t in targets]], "float32")
        positive = scores.max(-1) > 0
        return Assignment(positive, np.zeros_like(positive), boxes, ops.convert_to_tensor(scores))

    return types.SimpleNamespace(assign=assign)


def test_the_anchor_that_fits_best_is_told_the_teachers_score():
    student = student_of(fits=[0.6, 0.3, 0.2, 0.0], targets=[0, 0, 1, 1])
    found = match_detections(student, None, detections(), SIZE)
    np.testing.assert_allclose(found.scores[0], [0.9, 0.45, 0.4, 0.0], rtol=1e-5)
    np.testing.assert_array_equal(found.found[0], [True, True, True, False])
    np.testing.assert_array_equal(found.boxes[0], PEOPLE[0, [0, 0, 1, 1]])
    scores = 1 / (1 + np.exp(-np.asarray(found.logits)[0, :, 0]))
    np.testing.assert_allclose(scores, [0.9, 0.45, 0.4, BACKGROUND_SCORE], rtol=1e-4)


def test_two_detections_of_one_box_are_told_apart_by_their_class():
    twice = np.repeat(PEOPLE[:, :1], 2, axis=1)
    found = detections(twice, confidence=(0.3, 0.8), classes=(1, 0))
    matched = match_detections(student_of([1.0], [1], num_classes=2), None, found, SIZE)
    assert float(matched.scores[0, 0]) == pytest.approx(0.8)


@pytest.fixture(scope="module")
def students():
    detectors = pytest.importorskip("keras_hkd.detectors")
    names = ("retinanet_micro", "yolo_v8_micro")
    return {name: detectors.build(name, image_size=SIZE, seed=1) for name in names}


@pytest.mark.parametrize("name", ["retinanet_micro", "yolo_v8_micro"])
def test_detections_are_assigned_as_labels_are(students, name):
    student = students[name]
    outputs = student(np.zeros((1, *SIZE, 3), "float32"))
    found = match_detections(student, outputs, detections(), SIZE)
    labels = {"boxes": PEOPLE, "classes": np.array([[0.0, 0.0, -1.0]], "float32")}
    assigned = student.assign(outputs, labels, SIZE)
    np.testing.assert_array_equal(found.found, assigned.positive)
    np.testing.assert_array_equal(found.ignored, assigned.ignored)
    here = np.asarray(found.found)
    assert here.any()
    np.testing.assert_array_equal(
        np.asarray(found.boxes)[here], np.asarray(assigned.target_boxes)[here]
    )
    assert np.isclose(np.asarray(found.scores).max(), [0.9, 0.4]).any()
    assert np.asarray(found.scores)[~here].max() == 0.0


@pytest.mark.parametrize("name", ["retinanet_micro", "yolo_v8_micro"])
def test_nothing_detected_is_background_everywhere(students, name):
    student = students[name]
    outputs = student(np.zeros((1, *SIZE, 3), "float32"))
    nobody = detections(np.zeros((1, 0, 4), "float32"), (), ())
    found = match_detections(student, outputs, nobody, SIZE)
    assert not np.asarray(found.found).any()
    assert np.asarray(found.logits).max() == pytest.approx(np.log(1e-3 / 0.999), rel=1e-4)


@pytest.mark.parametrize("name", ["retinanet_micro", "yolo_v8_micro"])
def test_encoded_boxes_decode_to_themselves(students, name):
    student = students[name]
    count = np.asarray(student.anchor_points(SIZE)).shape[0]
    points = np.asarray(student.anchor_points(SIZE))[None]
    sides = np.random.default_rng(0).uniform(1, 60, (1, count, 4))
    boxes = np.concatenate([points - sides[..., :2], points + sides[..., 2:]], -1).astype("f4")
    raw = student.encode_boxes(ops.convert_to_tensor(boxes), SIZE)
    outputs = student(np.zeros((1, *SIZE, 3), "float32"))["box_outputs"]
    assert raw.shape == outputs.shape
    np.testing.assert_allclose(student.decode_boxes(raw, SIZE), boxes, atol=0.1)
