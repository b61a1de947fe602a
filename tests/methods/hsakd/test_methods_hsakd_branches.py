"""Branches: copies of what lies behind a stage, or light ones."""

import keras
import numpy as np
import pytest

from keras_hkd.classifiers import as_classifier, build
from keras_hkd.methods.hsakd.branches import branch, light_branch


@pytest.fixture(scope="module")
def classifier():
    return build("cnn_micro", class_names="abc", seed=1)


def shapes(layers):
    return sorted(tuple(layer.kernel.shape) for layer in layers)


def layers_of(model, kind):
    return [layer for layer in model._flatten_layers() if isinstance(layer, kind)]


def test_a_copied_branch_has_the_layers_behind_its_stage(classifier):
    convolutions = layers_of(classifier.network, keras.layers.Conv2D)
    for level, stages in (("C2", "345"), ("C3", "45"), ("C4", "5")):
        made = branch(classifier.network, level, 12)
        names = tuple(f"stage{stage}" for stage in stages)
        behind = [layer for layer in convolutions if layer.name.startswith(names)]
        assert len(behind) == 2 * len(stages)
        copies = layers_of(made, keras.layers.Conv2D)
        assert shapes(copies) == shapes(behind)
        assert not {id(v) for v in made.variables} & {id(v) for v in classifier.variables}
        dense = layers_of(made, keras.layers.Dense)[0]
        assert dense.kernel.shape == (classifier.channels("C5"), 12)


def test_copies_have_weights_of_their_own(classifier):
    one, other = (branch(classifier.network, "C4", 12) for _ in range(2))
    (kernel,) = (
        layer.kernel
        for layer in layers_of(classifier.network, keras.layers.Conv2D)
        if layer.name == "stage5_down_conv"
    )
    first, second = (
        next(v for v in made.variables if v.shape == kernel.shape) for made in (one, other)
    )
    assert not np.array_equal(first, kernel) and not np.array_equal(first, second)


def test_the_deepest_stage_has_a_residual_block_of_its_width(classifier):
    made = branch(classifier.network, "C5", 12)
    assert len(layers_of(made, keras.layers.Add)) == 1
    assert layers_of(made, keras.layers.Dense)[0].kernel.shape == (32, 12)


def test_a_stage_that_can_be_bypassed_has_a_light_branch():
    images = keras.Input((32, 32, 3))
    stem = keras.layers.Conv2D(4, 3, strides=4, padding="same")(images)
    last = keras.layers.Conv2D(4, 3, padding="same")(stem)  # the shortcut leaves before it
    down = keras.layers.Conv2D(6, 3, strides=2, padding="same")(last)
    shortcut = keras.layers.Conv2D(6, 1, strides=2)(stem)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Add()([down, shortcut]))
    raw = as_classifier(keras.Model(images, keras.layers.Dense(3)(x)))
    made = branch(raw.network, "C2", 12)
    assert len(layers_of(made, keras.layers.DepthwiseConv2D)) == 1
    assert tuple(made(np.zeros((2, 8, 8, 4), "float32")).shape) == (2, 12)


def test_a_light_branch_follows_strides_and_widths():
    widths = {"C2": 4, "C3": 6, "C5": 10}
    made = light_branch(widths, "C2", 8)
    depthwise = layers_of(made, keras.layers.DepthwiseConv2D)
    assert [layer.strides for layer in depthwise] == [(2, 2), (4, 4)]
    assert layers_of(made, keras.layers.Dense)[0].kernel.shape == (10, 8)
    assert made.name == "branch_c2"
