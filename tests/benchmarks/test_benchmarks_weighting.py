"""What balanced terms are compared with: uncertainty weighting and GradNorm, by hand on a step."""

import importlib
import pathlib

import keras
import keras_cv
import numpy as np
import pytest
import tensorflow as tf

from keras_hkd.detectors import build
from keras_hkd.detectors.keras_cv import backbones
from keras_hkd.hierarchies import Logits, Pyramid
from keras_hkd.losses import DIST, FeatureImitation, LogitDistillation

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


@pytest.fixture
def warmed(weighting, monkeypatch):
    """A Distiller with a projection, and endless batches for it."""
    monkeypatch.setattr(tf, "function", lambda function=None, **_: function or (lambda f: f))
    teacher = keras_cv.models.YOLOV8Detector(
        backbone=backbones.micro((12, 16, 32, 40, 48)),  # wider than the student
        num_classes=1,
        bounding_box_format="xyxy",
        fpn_depth=1,
    )
    student = build("yolo_v8_micro", image_size=(64, 64), seed=2)
    model = weighting.Warmed(teacher, student, Pyramid(FeatureImitation(), levels=("P3",)))
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    labels = {
        "boxes": np.array([[[8, 8, 40, 60]]] * 2, "float32"),
        "classes": np.zeros((2, 1), "float32"),
    }
    return model, tf.data.Dataset.from_tensors((images, labels)).repeat()


def test_projections_are_trained_and_nothing_else_is(warmed):
    model, batches = warmed
    of_student = {id(v) for v in model.student.variables}
    of_terms = [v for v in model.trainable_variables if id(v) not in of_student]
    old_terms = [keras.ops.convert_to_numpy(v).copy() for v in of_terms]
    old_student = model.student.get_weights()
    model.train_projections(batches.take(3))
    assert of_terms
    for old, v in zip(old_terms, of_terms, strict=True):
        assert not np.array_equal(old, keras.ops.convert_to_numpy(v))
    for old, new in zip(old_student, model.student.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert int(model.steps_taken) == 0


def test_shares_are_measured_after_the_projections_were_trained_once(
    warmed, weighting, monkeypatch
):
    model, batches = warmed
    monkeypatch.setattr(weighting, "WARM_STEPS", 2)
    monkeypatch.setattr(weighting, "NUM_BATCHES", 3)
    seen = []
    monkeypatch.setattr(model, "train_projections", lambda read: seen.append(len(read)))
    for _ in range(2):
        model.fit(batches, steps_per_epoch=1, verbose=0)
    assert seen == [2]
    assert model.balance.record["num_batches"] == 3
