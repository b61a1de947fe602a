"""Every named detector builds, and its maps, anchors and sizes fit each other."""

import functools
import math

import keras
import numpy
import pytest

from keras_hkd.detectors import build, names

IMAGE_SIZE = (64, 96)


@functools.lru_cache(maxsize=4)  # the largest take 0.4 GB each
def built(name):
    return build(name, image_size=IMAGE_SIZE, seed=0)


LARGE = {"rtmdet_m", "rtmdet_l", "rtmdet_x"}  # up to 0.4 GB of weights


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.long] * (name in LARGE)) for name in sorted(names())],
)
def test_named_detector_is_consistent(name):
    detector = built(name)
    images = numpy.random.default_rng(0).uniform(0, 255, (1, *IMAGE_SIZE, 3)).astype("float32")
    outputs = detector(images)
    assert detector.image_size == IMAGE_SIZE
    assert detector.class_names == ("person",)
    assert tuple(outputs["pyramid"]) == tuple(outputs["class_tower"]) == detector.levels
    cells = 0
    for level, shape in detector.level_shapes(IMAGE_SIZE).items():
        stride = detector.stride(level)
        assert shape == (math.ceil(64 / stride), math.ceil(96 / stride))
        assert outputs["pyramid"][level].shape == (1, *shape, detector.channels(level))
        assert outputs["class_tower"][level].shape[:3] == (1, *shape)
        cells += shape[0] * shape[1]
    anchors = cells * detector.anchors_per_cell
    assert outputs["class_logits"].shape == (1, anchors, 1)
    assert outputs["box_outputs"].shape[:2] == (1, anchors)
    assert detector.decode_boxes(outputs["box_outputs"], IMAGE_SIZE).shape == (1, anchors, 4)
    assert detector.anchor_points(IMAGE_SIZE).shape == (anchors, 2)
    scores = keras.ops.sigmoid(outputs["class_logits"])
    assert 0.001 < float(keras.ops.mean(scores)) < 0.1, "starts from the prior probability"


def test_the_papers_pair_is_about_six_times_apart():
    teacher, student = built("retinanet_resnet50"), built("retinanet_resnet18_half")
    assert 5 < teacher.count_params() / student.count_params() < 9
    assert teacher.channels("P3") == 256
    assert student.channels("P3") == 128
    assert teacher.levels == student.levels == ("P3", "P4", "P5", "P6", "P7")


@pytest.mark.parametrize("name", ["retinanet_micro", "yolo_v8_micro"])
def test_compact_sizes_stay_below_300_000_parameters(name):
    assert built(name).count_params() < 300_000


def test_every_name_has_a_line_about_it():
    assert all(len(line) > 20 for line in names().values())


def test_the_same_seed_gives_the_same_weights():
    first, second = (built.__wrapped__("yolo_v8_micro") for _ in range(2))
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        numpy.testing.assert_array_equal(a, b)
    other = build("yolo_v8_micro", image_size=IMAGE_SIZE, seed=1)
    assert any(
        (a != b).any() for a, b in zip(first.get_weights(), other.get_weights(), strict=True)
    )


def test_several_classes():
    detector = build("retinanet_micro", class_names=("person", "rider", "dog"), image_size=(64, 64))
    assert detector.num_classes == 3
    outputs = detector(numpy.zeros((2, 64, 64, 3), "float32"))
    assert outputs["class_logits"].shape[-1] == 3


def test_batch_norm_is_synchronised_on_request():
    def flags(detector):
        return {
            layer.synchronized
            for layer in detector._flatten_layers()
            if isinstance(layer, keras.layers.BatchNormalization)
        }

    assert flags(built("yolo_v8_micro")) == {False}
    assert flags(build("yolo_v8_micro", synchronized=True)) == {True}


def test_unknown_name_shows_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'yolo_v8_micro'"):
        build("yolov8_micro")
    with pytest.raises(ValueError, match="No detector is called None"):
        build(None)
    with pytest.raises(FileNotFoundError, match="runs/teacher.kears: there is no such file"):
        build("runs/teacher.kears")


@pytest.mark.parametrize("image_size", [(16, 64), (64,), 64, "ab", (100, 64)], ids=str)
def test_bad_image_size(image_size):
    with pytest.raises(ValueError, match=r"`image_size` must be \(height, width\) in pixels"):
        build("yolo_v8_micro", image_size=image_size)


def test_backbone_weights_are_for_mobilenet_v2_only():
    with pytest.raises(ValueError, match="has no MobileNetV2 backbone"):
        build("retinanet_micro", backbone_weights="mobilenet.weights.h5")
