"""The RTMDet family: losses by hand, boxes, training from nothing, saving."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_hkd
from keras_hkd.detectors import as_detector
from keras_hkd.detectors.detector import Assignment
from keras_hkd.detectors.rtmdet import RTMDet, RTMDetConfig

SIZE = (64, 96)
POINTS = 8 * 12 + 4 * 6 + 2 * 3


def test_points_lie_in_the_corners_of_their_cells(small_detector):
    points = np.asarray(small_detector.anchor_points(SIZE))
    strides = np.asarray(small_detector.anchor_strides(SIZE))[:, 0]
    assert points.shape == (POINTS, 2)
    expected = [[0, 0], [8, 0], [0, 8], [0, 0], [16, 0], [0, 0]]
    np.testing.assert_array_equal(points[[0, 1, 12, 96, 97, 120]], expected)
    assert strides.tolist() == [8.0] * 96 + [16.0] * 24 + [32.0] * 6


@pytest.mark.parametrize("exponential", [False, True])
def test_box_outputs_are_distances_in_strides(small_detector, exponential):
    detector = RTMDet(small_detector.model, exponential=exponential)
    distances = np.random.default_rng(1).uniform(0.5, 4, (1, POINTS, 4)).astype("float32")
    outputs = np.log(distances) if exponential else distances
    boxes = np.asarray(detector.decode_boxes(outputs, SIZE))
    left, top, right, bottom = distances[0, 98]  # the point (32, 0) of P4
    expected = [32 - 16 * left, -16 * top, 32 + 16 * right, 16 * bottom]
    np.testing.assert_allclose(boxes[0, 98], expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(detector.encode_boxes(boxes, SIZE), outputs, atol=1e-4)


def test_losses_by_hand(small_detector):
    generator = np.random.default_rng(3)
    logits = generator.normal(0, 2, (2, POINTS, 1)).astype("float32")
    positive = generator.random((2, POINTS)) < 0.2
    ignored = ~positive & (generator.random((2, POINTS)) < 0.1)
    targets = (generator.uniform(0.2, 1, (2, POINTS, 1)) * positive[..., None]).astype("float32")
    boxes = generator.uniform(0, 60, (2, POINTS, 2))
    boxes = np.concatenate([boxes, boxes + generator.uniform(4, 30, boxes.shape)], -1)
    wanted = boxes + generator.normal(0, 2, boxes.shape)
    outputs = {
        "class_logits": ops.convert_to_tensor(logits),
        "box_outputs": small_detector.encode_boxes(boxes.astype("float32"), SIZE),
    }
    assignment = Assignment(positive, ignored, wanted.astype("float32"), targets)
    found = small_detector.task_losses(outputs, assignment, SIZE)

    scores = 1 / (1 + np.exp(-logits.astype(float)))
    entropy = -targets * np.log(scores) - (1 - targets) * np.log(1 - scores)
    focal = np.sum((targets - scores) ** 2 * entropy * ~ignored[..., None])
    near = np.maximum(boxes[..., :2], wanted[..., :2])
    far = np.minimum(boxes[..., 2:], wanted[..., 2:])
    both = np.prod(np.maximum(far - near, 0), axis=-1)
    areas = [np.prod(one[..., 2:] - one[..., :2], axis=-1) for one in (boxes, wanted)]
    union = areas[0] + areas[1] - both
    hull = np.maximum(boxes[..., 2:], wanted[..., 2:]) - np.minimum(boxes[..., :2], wanted[..., :2])
    hull = np.prod(hull, axis=-1)
    giou = both / union - (hull - union) / hull
    count = targets.sum()
    assert count > 1
    expected = np.sum(targets[..., 0] * (1 - giou)) * 2 / count
    assert float(found["class_loss"]) == pytest.approx(focal / count, rel=1e-4)
    assert float(found["box_loss"]) == pytest.approx(expected, rel=1e-4)

    weighted = RTMDet(small_detector.model, class_loss_weight=3.0, box_loss_weight=1.0)
    others = weighted.task_losses(outputs, assignment, SIZE)
    assert float(others["class_loss"]) == pytest.approx(3 * float(found["class_loss"]))
    assert float(others["box_loss"]) == pytest.approx(float(found["box_loss"]) / 2)


def test_without_people_the_sum_is_divided_by_one(small_detector):
    nobody = {"boxes": np.zeros((2, 0, 4), "float32"), "classes": np.zeros((2, 0), "float32")}
    outputs = {
        "class_logits": ops.zeros((2, POINTS, 1)),
        "box_outputs": ops.ones((2, POINTS, 4)),
    }
    assignment = small_detector.assign(outputs, nobody, SIZE)
    losses = small_detector.task_losses(outputs, assignment, SIZE)
    assert float(losses["class_loss"]) == pytest.approx(0.25 * 2 * POINTS * np.log(2), rel=1e-5)
    assert float(losses["box_loss"]) == 0.0


def test_a_region_at_the_edge_covers_the_points_on_the_edge(small_detector):
    labels = {
        "boxes": np.zeros((1, 0, 4), "float32"),
        "classes": np.zeros((1, 0), "float32"),
        "ignore_boxes": np.array([[[0.0, 0.0, 32.0, 16.0]]], "float32"),
    }
    outputs = {"class_logits": ops.zeros((1, POINTS, 1)), "box_outputs": ops.ones((1, POINTS, 4))}
    ignored = np.asarray(small_detector.assign(outputs, labels, SIZE).ignored)[0]
    found = np.asarray(small_detector.anchor_points(SIZE))[ignored].tolist()
    p3 = [[8.0 * x, 8.0 * y] for y in range(2) for x in range(4)]
    assert found == [*p3, [0.0, 0.0], [16.0, 0.0], [0.0, 0.0]]


@pytest.mark.long
def test_learns_drawn_people_from_nothing():
    keras.utils.set_random_seed(0)
    config = RTMDetConfig(width=0.125, depth=0.167, pyramid_channels=32, num_classes=1)
    detector = RTMDet(config, image_size=(64, 64))
    dataset = keras_hkd.data.synthetic_dataset(num_images=4, image_size=(64, 64), seed=3)
    batches = keras_hkd.data.training_batches(
        dataset, image_size=(64, 64), batch_size=4, seed=0, augmentation=None
    )
    detector.compile(keras.optimizers.Adam(3e-3))
    history = detector.fit(batches, epochs=2, steps_per_epoch=25, verbose=0, shuffle=False).history
    first, last = history["loss"]
    assert last < 0.6 * first
    assert history["box_loss"][1] < history["box_loss"][0]


def test_one_of_several_classes(new_detector):
    several = new_detector(num_classes=3)
    images = np.random.default_rng(0).uniform(0, 255, (1, *SIZE, 3)).astype("float32")
    rider = as_detector(several, class_names=("rider",))
    assert rider.class_indices == (1,)
    np.testing.assert_array_equal(
        rider(images)["class_logits"], several(images)["class_logits"][..., 1:2]
    )
    assert (rider.box_loss_weight, rider.exponential) == (2.0, False)


def test_the_config_says_whether_distances_are_exponents():
    small = {"width": 0.125, "depth": 0.167, "pyramid_channels": 16, "num_classes": 1}
    assert RTMDet(RTMDetConfig(**small, exponential=True)).exponential is True
    assert RTMDet(RTMDetConfig(**small)).exponential is False
