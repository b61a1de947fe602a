"""Backbones from `keras.applications` and the ImageNet weights of MobileNetV2."""

import keras
import keras_cv
import numpy
import pytest

from keras_hkd.detectors import as_detector, build, load_detector
from keras_hkd.detectors.keras_cv import backbones

IMAGE_SIZE = (64, 96)
LEVELS = {"P3": "conv_pw_5_relu", "P4": "conv_pw_11_relu", "P5": "conv_pw_13_relu"}


@pytest.fixture(scope="module")
def mobilenet():
    """MobileNet of 2017, which no builder of ours uses."""
    return keras.applications.MobileNet((64, 96, 3), 0.25, include_top=False, weights=None)


@pytest.mark.slow
@pytest.mark.parametrize(
    "library", [keras_cv.models.RetinaNet, keras_cv.models.YOLOV8Detector], ids=lambda c: c.__name__
)
def test_a_network_of_keras_applications_carries_a_detector(library, mobilenet, images, tmp_path):
    raw = library(
        backbone=backbones.Backbone(mobilenet, LEVELS), num_classes=1, bounding_box_format="xyxy"
    )
    detector = as_detector(raw, image_size=IMAGE_SIZE)
    outputs = detector(images)
    assert outputs["pyramid"]["P3"].shape[1:3] == (8, 12)
    assert outputs["pyramid"]["P5"].shape[1:3] == (2, 3)
    detector.save(tmp_path / "detector.keras")
    loaded = load_detector(tmp_path / "detector.keras")
    again = loaded(images)
    numpy.testing.assert_array_equal(again["class_logits"], outputs["class_logits"])
    numpy.testing.assert_array_equal(again["box_outputs"], outputs["box_outputs"])


def test_a_level_is_missing(mobilenet):
    with pytest.raises(ValueError, match=r"Missing: \['P5'\]"):
        backbones.Backbone(mobilenet, {"P3": "conv_pw_5_relu", "P4": "conv_pw_11_relu"})


def test_a_layer_is_missing(mobilenet):
    with pytest.raises(ValueError, match=r"must name layers.*Received: \['conv_pw_99'\]"):
        backbones.Backbone(mobilenet, {**LEVELS, "P4": "conv_pw_99"})


@pytest.mark.slow
def test_imagenet_weights_of_a_local_file(shared_dir, images):
    path = shared_dir / "weights" / "mobilenet_v2_0.35_96_notop.weights.h5"
    if not path.is_file():
        pytest.skip(f"no weights at {path}")
    name = "yolo_v8_mobilenet_v2_0.35"
    random = build(name, image_size=IMAGE_SIZE, seed=0)
    loaded = build(name, image_size=IMAGE_SIZE, seed=0, backbone_weights=path)
    assert random.count_params() == loaded.count_params()
    difference = numpy.abs(random(images)["class_logits"] - loaded(images)["class_logits"])
    assert difference.max() > 1e-3

    expected = keras.applications.MobileNetV2(
        (None, None, 3), 0.35, include_top=False, weights=str(path)
    )
    layers = {layer.name: layer for layer in loaded._flatten_layers()}
    for layer in ("Conv1", "block_6_expand", "block_16_project_BN"):
        for found, weight in zip(
            layers[layer].get_weights(), expected.get_layer(layer).get_weights(), strict=True
        ):
            numpy.testing.assert_array_equal(found, weight)


def test_missing_weights(tmp_path):
    with pytest.raises((ValueError, FileNotFoundError), match="nothing.weights.h5"):
        build("yolo_v8_mobilenet_v2_0.35", backbone_weights=tmp_path / "nothing.weights.h5")
