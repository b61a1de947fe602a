"""The RetinaNet family: anchors, matching, and its loss against KerasCV's own."""

import numpy
import pytest
from keras import ops

from keras_hkd.boxes.iou import pairwise_iou
from keras_hkd.detectors import as_detector

IMAGE_SIZE = (64, 96)


@pytest.fixture(scope="module")
def raw(library_model):
    """A raw KerasCV model with its default square-ish anchors and narrow heads."""
    return library_model("retinanet", own_parts=True)


@pytest.fixture(scope="module")
def over_raw(raw):
    return as_detector(raw, image_size=IMAGE_SIZE)


def test_loss_equals_the_librarys(raw, over_raw, images, labels):
    raw.compile(box_loss="smoothl1", classification_loss="focal", optimizer="sgd")
    copied = {key: ops.array(value) for key, value in labels.items()}
    expected = raw.compute_loss(ops.array(images), copied, raw({"images": images}), None)
    found = over_raw.compute_loss(images, labels, over_raw(images))
    assert float(expected) > 0
    assert float(found) == pytest.approx(float(expected), rel=1e-4)


def test_matching_follows_the_thresholds(over_raw, images, labels):
    found = over_raw.assign(over_raw(images), labels, IMAGE_SIZE)
    overlap = pairwise_iou(over_raw.anchors(IMAGE_SIZE).numpy(), labels["boxes"])
    best = overlap.max(axis=-1)
    numpy.testing.assert_array_equal(found.positive, best >= 0.5)
    numpy.testing.assert_array_equal(found.ignored, (best >= 0.4) & (best < 0.5))
    assert found.positive.numpy().any(axis=1).all()
    numpy.testing.assert_array_equal(found.target_scores[..., 0], best >= 0.5)
    expected = numpy.take_along_axis(labels["boxes"], overlap.argmax(axis=-1)[..., None], axis=1)
    positive = found.positive.numpy()
    numpy.testing.assert_array_equal(found.target_boxes.numpy()[positive], expected[positive])


def test_encoding_undoes_decoding(micro_detector):
    detector = micro_detector("retinanet")
    num_anchors = detector.anchors(IMAGE_SIZE).shape[0]
    generator = numpy.random.default_rng(0)
    deltas = generator.normal(0, 1, (2, num_anchors, 4)).astype("float32")
    boxes = detector.decode_boxes(ops.array(deltas), IMAGE_SIZE)
    again = detector.encode_boxes(boxes, IMAGE_SIZE)
    numpy.testing.assert_allclose(again, deltas, atol=2e-3)
    still = detector.decode_boxes(ops.zeros((1, num_anchors, 4)), IMAGE_SIZE)
    numpy.testing.assert_allclose(still[0], detector.anchors(IMAGE_SIZE), atol=1e-4)


def test_anchors_of_named_detectors_have_the_shape_of_people(micro_detector):
    anchors = micro_detector("retinanet").anchors((512, 512)).numpy().reshape(-1, 9, 4)
    middle = anchors[32 * 64 + 32]  # row 32, column 32 of P3, far from every edge
    sides = middle[:, 2:] - middle[:, :2]
    numpy.testing.assert_allclose(
        sorted(sides[:, 0] / sides[:, 1]), numpy.repeat([0.3, 0.5, 1.0], 3), rtol=1e-4
    )
    areas = numpy.sqrt(sides[:, 0] * sides[:, 1])
    expected = 24 * numpy.repeat([1, 2 ** (1 / 3), 2 ** (2 / 3)], 3)
    numpy.testing.assert_allclose(sorted(areas), expected, rtol=1e-4)
    numpy.testing.assert_allclose((middle[:, :2] + middle[:, 2:]) / 2, 9 * [[260, 260]], atol=1e-3)


def test_one_positive_anchor_by_hand(over_raw):
    anchors = over_raw.anchors(IMAGE_SIZE)
    index = 9 * (12 * 3 + 5) + 4
    box = anchors[index]
    num_anchors = anchors.shape[0]
    labels = {"boxes": ops.reshape(box, (1, 1, 4)), "classes": ops.zeros((1, 1))}
    outputs = {
        "class_logits": ops.zeros((1, num_anchors, 1)),
        "box_outputs": ops.zeros((1, num_anchors, 4)),
    }
    found = over_raw.assign(outputs, labels, IMAGE_SIZE)
    positive = int(found.positive.numpy().sum())
    background = num_anchors - positive - int(found.ignored.numpy().sum())
    losses = over_raw.task_losses(outputs, found, IMAGE_SIZE)
    # Score 0.5 everywhere: alpha 0.25 (people) or 0.75 (background) times 0.5 ** 2 * log 2.
    expected = 0.25 * numpy.log(2) * (0.25 * positive + 0.75 * background) / positive
    assert float(losses["class_loss"]) == pytest.approx(expected, rel=1e-5)
    targets = over_raw.encode_boxes(found.target_boxes, IMAGE_SIZE).numpy()
    distance = numpy.abs(targets[found.positive.numpy()])
    smooth = numpy.where(distance < 1, distance**2 / 2, distance - 0.5)
    assert float(losses["box_loss"]) == pytest.approx(
        smooth.mean(axis=-1).sum() / positive, rel=1e-5
    )
    numpy.testing.assert_allclose(targets[0, index], 0.0, atol=1e-5)


@pytest.mark.parametrize(("positive", "negative"), [(0.4, 0.5), (1.0, 0.4), (0.5, 0.0)])
def test_bad_thresholds(raw, positive, negative):
    with pytest.raises(ValueError, match="0 < negative_iou <= positive_iou < 1. Received"):
        as_detector(raw, positive_iou=positive, negative_iou=negative)
