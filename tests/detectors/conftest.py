"""Small detectors of both families, built once per process, and a batch of labelled images."""

import functools

import keras
import keras_cv
import numpy
import pytest
from fixtures.every_hierarchy import eagerly, every_detection_counts  # noqa: F401

from keras_hkd.detectors import build
from keras_hkd.detectors.keras_cv import backbones
from keras_hkd.detectors.keras_cv.feature_pyramid import FeaturePyramid
from keras_hkd.detectors.keras_cv.prediction_head import PredictionHead

IMAGE_SIZE = (64, 96)
MICRO = {"retinanet": "retinanet_micro", "yolo_v8": "yolo_v8_micro"}


def _enliven(model):
    """Sets the BatchNorm statistics from noise, so that outputs of random weights are not all 0."""
    layers = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    noise = numpy.random.default_rng(7).uniform(0, 255, (2, *IMAGE_SIZE, 3)).astype("float32")
    model(
        {"images": noise} if isinstance(model, keras_cv.models.RetinaNet) else noise, training=True
    )
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    return model


@functools.cache
def _micro_detector(family):
    """A micro detector; tests leave its weights as they are."""
    return _enliven(build(MICRO[family], image_size=IMAGE_SIZE, seed=1))


def _library_retinanet(num_classes=1, own_parts=False):
    """A raw `keras_cv.models.RetinaNet`; with `own_parts` a narrow pyramid and narrow heads."""
    parts = {}
    if own_parts:
        parts = {
            "feature_pyramid": FeaturePyramid(16),
            "classification_head": PredictionHead(9 * num_classes, 16, 1, bias_value=-4.6),
            "box_head": PredictionHead(36, 16, 1),
        }
    return keras_cv.models.RetinaNet(
        backbone=backbones.micro((8, 8, 16, 16, 16)),
        num_classes=num_classes,
        bounding_box_format="xyxy",
        **parts,
    )


def _library_yolo_v8(num_classes=1):
    """A raw `keras_cv.models.YOLOV8Detector`."""
    return keras_cv.models.YOLOV8Detector(
        backbone=backbones.micro((8, 8, 16, 16, 16)),
        num_classes=num_classes,
        bounding_box_format="xyxy",
        fpn_depth=1,
    )


@pytest.fixture(params=["retinanet", "yolo_v8"], scope="module")
def family(request):
    """Name of each family in turn."""
    return request.param


@pytest.fixture
def detector(family):
    """A micro detector of each family in turn."""
    return _micro_detector(family)


@pytest.fixture(scope="session")
def micro_detector():
    """Function from a family's name to its micro detector."""
    return _micro_detector


@pytest.fixture(scope="session")
def library_model():
    """Function that makes a raw KerasCV model: family, num_classes, own_parts (RetinaNet)."""

    def make(family, num_classes=1, **options):
        maker = {"retinanet": _library_retinanet, "yolo_v8": _library_yolo_v8}[family]
        keras.utils.set_random_seed(5)
        return _enliven(maker(num_classes, **options))

    return make


@pytest.fixture(scope="session")
def images():
    """Two noisy images."""
    generator = numpy.random.default_rng(7)
    return generator.uniform(0, 255, (2, *IMAGE_SIZE, 3)).astype("float32")


@pytest.fixture
def labels():
    """Two people in the first image, one in the second."""
    boxes = [
        [[10.0, 6.0, 30.0, 54.0], [50.0, 20.0, 66.0, 58.0]],
        [[40.0, 8.0, 58.0, 56.0], [-1.0, -1.0, -1.0, -1.0]],
    ]
    return {
        "boxes": numpy.array(boxes, "float32"),
        "classes": numpy.array([[0, 0], [0, -1]], "float32"),
    }


@pytest.fixture
def nobody():
    """Labels of two images without people."""
    return {
        "boxes": numpy.full((2, 2, 4), -1.0, "float32"),
        "classes": numpy.full((2, 2), -1.0, "float32"),
    }
