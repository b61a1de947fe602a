"""Small functional models, as users have them."""

import keras
import numpy as np
import pytest

NUM_CLASSES = 3


def make_model(activation=None, side=32, nested=False, sequential=False):
    """Three strided convolutions with BatchNorm, pooled, and a dense head."""
    layers = []
    for number, width in enumerate((4, 6, 8)):
        layers.append(
            keras.layers.Conv2D(width, 3, strides=2, padding="same", name=f"conv{number}")
        )
        layers.append(keras.layers.BatchNormalization(name=f"bn{number}"))
        layers.append(keras.layers.ReLU(name=f"relu{number}"))
    top = [
        keras.layers.GlobalAveragePooling2D(name="pool"),
        keras.layers.Dense(NUM_CLASSES, activation=activation, name="head"),
    ]
    if sequential:
        return keras.Sequential([keras.Input((side, side, 3)), *layers, *top])
    images = keras.Input((side, side, 3))
    x = images
    for layer in layers:
        x = layer(x)
    if nested:
        x = keras.Model(images, x, name="base")(inputs := keras.Input((side, side, 3)))
        images = inputs
    for layer in top:
        x = layer(x)
    return keras.Model(images, x, name="raw")


@pytest.fixture
def raw():
    """Give `make_model`, with the same weights at each call."""

    def make(**options):
        keras.utils.set_random_seed(0)
        return make_model(**options)

    return make


@pytest.fixture(scope="session")
def images():
    return np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype("float32")
