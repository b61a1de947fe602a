"""The YOLOV8 family: its loss against KerasCV's own, its boxes, and the prior of its class head."""

import math

import numpy
import pytest
from keras import ops

from keras_hkd.detectors import as_detector

IMAGE_SIZE = (64, 96)
PRIOR = math.log(0.01 / 0.99)


def class_heads(model):
    return [model.get_layer(f"yolo_v8_head_{index}_class_3_conv") for index in (1, 2, 3)]


def test_loss_equals_the_librarys(library_model, images, labels):
    raw = library_model("yolo_v8")
    detector = as_detector(raw, image_size=IMAGE_SIZE)
    raw.compile(box_loss="ciou", classification_loss="binary_crossentropy", optimizer="sgd")
    tensors = {key: ops.array(value) for key, value in labels.items()}
    expected = raw.compute_loss(ops.array(images), tensors, raw(images))
    found = detector.compute_loss(images, labels, detector(images))
    assert float(expected) > 0
    assert float(found) == pytest.approx(float(expected), rel=1e-4)


def test_a_fresh_class_head_starts_from_its_prior_and_a_trained_one_is_left(library_model):
    raw = library_model("yolo_v8")
    assert all(not layer.bias.numpy().any() for layer in class_heads(raw))
    as_detector(raw)
    for layer in class_heads(raw):
        numpy.testing.assert_allclose(layer.bias, [PRIOR], rtol=1e-6)
    for layer, value in zip(class_heads(raw), (0.0, 0.3, 0.0), strict=True):
        layer.bias.assign([value])
    as_detector(raw)
    assert [float(layer.bias[0]) for layer in class_heads(raw)] == pytest.approx([0.0, 0.3, 0.0])


def test_anchor_points_and_strides(micro_detector):
    detector = micro_detector("yolo_v8")
    points = detector.anchor_points(IMAGE_SIZE).numpy()
    strides = detector.anchor_strides(IMAGE_SIZE).numpy()[:, 0]
    assert points.shape == (8 * 12 + 4 * 6 + 2 * 3, 2)
    # Cell 0 of P3, its right and its lower neighbour, then the first cells of P4 and P5.
    expected = [[4, 4], [12, 4], [4, 12], [8, 8], [16, 16]]
    numpy.testing.assert_array_equal(points[[0, 1, 12, 96, 120]], expected)
    assert strides.tolist() == [8.0] * 96 + [16.0] * 24 + [32.0] * 6


def test_boxes_of_certain_bins(micro_detector):
    detector = micro_detector("yolo_v8")
    outputs = numpy.zeros((1, 126, 4, 16), "float32")
    for side, bin_index in enumerate((1, 2, 3, 15)):
        outputs[..., side, bin_index] = 100.0
    boxes = detector.decode_boxes(ops.reshape(outputs, (1, 126, 64)), IMAGE_SIZE).numpy()
    numpy.testing.assert_allclose(boxes[0, 0], [4 - 8, 4 - 16, 4 + 24, 4 + 120], atol=1e-4)
    numpy.testing.assert_allclose(boxes[0, 96], [8 - 16, 8 - 32, 8 + 48, 8 + 240], atol=1e-4)
    even = detector.decode_boxes(ops.zeros((1, 126, 64)), IMAGE_SIZE).numpy()
    numpy.testing.assert_allclose(even[0, 0], [4 - 60, 4 - 60, 4 + 60, 4 + 60], atol=1e-4)


def test_weights_of_the_losses(micro_detector, images, labels):
    detector = micro_detector("yolo_v8")
    outputs = detector(images)
    assignment = detector.assign(outputs, labels, IMAGE_SIZE)
    losses = detector.task_losses(outputs, assignment, IMAGE_SIZE)
    twice = as_detector(detector.model, box_loss_weight=15.0, class_loss_weight=1.5)
    others = twice.task_losses(outputs, assignment, IMAGE_SIZE)
    assert float(others["box_loss"]) == pytest.approx(2 * float(losses["box_loss"]), rel=1e-5)
    assert float(others["class_loss"]) == pytest.approx(3 * float(losses["class_loss"]), rel=1e-5)


def test_class_loss_by_hand(micro_detector, images, nobody):
    detector = micro_detector("yolo_v8")
    outputs = {**detector(images), "class_logits": ops.zeros((2, 126, 1))}
    assignment = detector.assign(outputs, nobody, IMAGE_SIZE)
    losses = detector.task_losses(outputs, assignment, IMAGE_SIZE)
    assert float(losses["class_loss"]) == pytest.approx(0.5 * 252 * math.log(2), rel=1e-5)
    assert float(losses["box_loss"]) == 0.0
