"""A small detector and its quantised clone, built once, and a batch of two images."""

import numpy as np
import pytest

SIZE = (64, 64)


@pytest.fixture(scope="session")
def student():
    """A micro detector of random weights; tests leave it as it is."""
    from keras_hkd.detectors import build

    return build("yolo_v8_micro", image_size=SIZE, seed=1)


@pytest.fixture(scope="session")
def quantized(student):
    """Its quantised clone; tests leave it as it is."""
    from keras_hkd.compression import quantize

    return quantize(student)


@pytest.fixture(scope="session")
def batch():
    images = np.random.default_rng(0).uniform(0, 255, (2, *SIZE, 3)).astype("float32")
    boxes = np.array([[(10, 8, 40, 56), (-1, -1, -1, -1)], [(4, 4, 20, 40), (30, 10, 50, 60)]])
    return images, {
        "boxes": boxes.astype("float32"),
        "classes": np.where(boxes[..., 2] > 0, 0.0, -1.0).astype("float32"),
    }
