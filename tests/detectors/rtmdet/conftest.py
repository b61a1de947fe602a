"""A small RTMDet, built once, and a batch of images with people."""

import functools

import keras
import numpy as np
import pytest
from fixtures.published_rtmdet import onnx_file  # noqa: F401

from keras_hkd.detectors.rtmdet import RTMDet, RTMDetConfig
from keras_hkd.export.representative import sample_images

SIZE = (64, 96)


def make_detector(seed=0, **config):
    """An eighth of the width of the paper's largest; logits and boxes vary from point to point."""
    keras.utils.set_random_seed(seed)
    config = {"width": 0.125, "depth": 0.167, "pyramid_channels": 32, "num_classes": 1, **config}
    names = ("person", "rider", "dog")[: config["num_classes"]]
    detector = RTMDet(RTMDetConfig(**config), image_size=SIZE, class_names=names)
    norms = [one for one in detector.network.layers if hasattr(one, "moving_mean")]
    for norm in norms:
        norm.momentum = 0.0
    noise = np.random.default_rng(7).uniform(0, 255, (2, *SIZE, 3)).astype("float32")
    detector(np.concatenate([sample_images(SIZE, 4), noise]), training=True)
    for norm in norms:
        norm.momentum = 0.9
        # What hardly varies here and is divided by next to nothing would explode elsewhere.
        variance = keras.ops.convert_to_numpy(norm.moving_variance)
        norm.moving_variance.assign(np.maximum(variance, 0.1 * variance.mean()))
    for layer in detector.network.layers:
        if layer.name.endswith("_predictor"):  # starts from almost nothing
            layer.kernel.assign(layer.kernel * 20.0)
    return detector


@functools.cache
def _small_detector():
    return make_detector()


@pytest.fixture
def small_detector():
    """One person detector of random weights; tests leave them as they are."""
    return _small_detector()


@pytest.fixture(scope="session")
def new_detector():
    """Function that builds a small detector of its own: `seed`, and parts of an `RTMDetConfig`."""
    return make_detector


@pytest.fixture(scope="session")
def images():
    """Two drawn scenes."""
    return sample_images(SIZE)


@pytest.fixture(scope="session")
def labels():
    """Two people in the first image, one in the second."""
    boxes = [
        [[10.0, 6.0, 30.0, 54.0], [50.0, 20.0, 66.0, 58.0]],
        [[40.0, 8.0, 58.0, 56.0], [-1.0, -1.0, -1.0, -1.0]],
    ]
    return {
        "boxes": np.array(boxes, "float32"),
        "classes": np.array([[0, 0], [0, -1]], "float32"),
    }
