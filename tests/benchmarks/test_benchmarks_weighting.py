"""What balanced terms are compared with: uncertainty weighting and GradNorm, by hand on a step."""

import importlib
import pathlib

import keras
import numpy as np
import pytest

from keras_hkd.hierarchies import Logits
from keras_hkd.losses import DIST, LogitDistillation

BENCHMARKS = pathlib.Path(__file__).resolve().parents[2] / "benchmarks"
IMAGES = np.random.default_rng(0).uniform(0, 255, (6, 32, 32, 3)).astype("float32")
LABELS = {"classes": np.array([0, 1, 2, 0, 1, 2])}


@pytest.fixture
def weighting(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("weighting")


def raw(width, seed):
    keras.utils.set_random_seed(seed)
    images = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(width, 3, strides=4, activation="relu")(images / 255.0)
    return keras.Model(images, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x)))


def made(kind):
    terms = [Logits(LogitDistillation()), Logits(DIST(), name="dist")]
    model = kind(raw(8, 1), raw(4, 2), terms, distillation_loss_weights=None)
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    return model


def values(model):
    outputs = model(IMAGES, training=True)
    return np.array([float(one) for one in model.compute_terms(IMAGES, LABELS, outputs).values()])


def test_uncertainty_weighs_by_the_variance_that_is_learnt(weighting):
    model = made(weighting.Uncertainty)
    model.scaled.assign([0.0, 0.04, -0.04])  # times 25
    found = values(model)
    loss = model.train_on_batch(IMAGES, LABELS)
    logs = np.array([0.0, 1.0, -1.0])
    assert float(np.ravel(loss)[0]) == pytest.approx(np.sum(np.exp(-logs) * found + logs), rel=1e-5)
    assert any(variable is model.scaled for variable in model.trainable_variables)


def test_gradnorm_moves_weight_to_tasks_whose_gradient_is_too_small(weighting):
    model = made(weighting.GradNorm)
    found = values(model)
    model.train_on_batch(IMAGES, LABELS)
    # The first step of Adam has the length of its rate, and no loss has fallen yet.
    assert keras.ops.convert_to_numpy(model.first) == pytest.approx(found, rel=1e-5)
    moved = keras.ops.convert_to_numpy(model.weight_of)
    assert moved.sum() == pytest.approx(3, rel=1e-5)
    slopes = np.sign(keras.ops.convert_to_numpy(model.mean))
    assert {1.0, -1.0} <= set(slopes)
    steps = 1 - weighting.LEARNING_RATE * slopes
    assert moved == pytest.approx(3 * steps / steps.sum(), rel=1e-4)
