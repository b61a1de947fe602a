"""KD, and the term by which students of one kind are compared."""

import types

import keras
import numpy as np
import pytest

from keras_hkd import classifiers, methods
from keras_hkd.hierarchies import ClassLogits, Logits
from keras_hkd.losses import LogitDistillation
from keras_hkd.methods import kd
from keras_hkd.methods.logit_kd import logit_term


def test_options_go_to_the_loss_and_the_weights():
    teacher, student = (
        classifiers.build("cnn_micro", class_names="ab", seed=seed) for seed in (1, 2)
    )
    distiller = kd(teacher, student, weight=2.0, student_loss_weight=0.5, temperature=5.0)
    assert distiller.term_names == ("logits",)
    assert [float(weight) for weight in distiller.term_weights()] == [0.5, 2.0]
    assert distiller.distillation_losses[0].loss.temperature == 5.0
    with pytest.raises(TypeError, match="keyword argument"):
        kd(teacher, student, temperatur=5.0)


@pytest.mark.parametrize(
    ("kind", "options"), [("detector", {}), ("detector", {"gamma": 1.0}), ("classifier", {})]
)
def test_it_is_zero_at_a_copy(kind, options):
    term = logit_term(types.SimpleNamespace(kind=kind), **options)
    logits = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    assert float(term.loss(logits, logits)) == pytest.approx(0.0, abs=1e-7)
    assert float(term.loss(logits, logits + [0.0, 1.0, 2.0])) > 0


def test_each_kind_has_its_own():
    detector, classifier = (
        logit_term(types.SimpleNamespace(kind=kind)) for kind in ("detector", "classifier")
    )
    assert (type(detector), detector.at) == (ClassLogits, "all")
    assert (type(classifier), type(classifier.loss)) == (Logits, LogitDistillation)


def classifier(seed):
    return classifiers.build(
        "cnn_micro", image_size=(32, 32), class_names=("a", "b", "c"), seed=seed
    )


@pytest.mark.parametrize("method", ["mutual", "mean_teacher"])
def test_classifiers_learn_without_a_trained_teacher(method):
    images = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype("float32")
    labels = {"classes": np.array([0, 1, 2, -1])}
    if method == "mutual":
        distiller = methods.mutual(classifier(1), classifier(2), temperature=2.0)
        others = distiller.peers[1].weights
    else:
        distiller = methods.mean_teacher(classifier(2), weight=1.0)
        others = distiller.teacher.weights
    distiller.compile(optimizer=keras.optimizers.SGD(1e-2), run_eagerly=True)
    before = [np.array(keras.ops.convert_to_numpy(weight)) for weight in others]
    for _ in range(2):
        logs = distiller.train_on_batch(images, labels, return_dict=True)
    peers = {"peer_class_loss"} if method == "mutual" else set()
    assert set(logs) == {"loss", "class_loss", "logits_loss"} | peers
    assert all(np.isfinite(value) for value in logs.values())
    assert any(
        not np.array_equal(keras.ops.convert_to_numpy(weight), old)
        for weight, old in zip(others, before, strict=True)
    )
    assert distiller.predict_on_batch(images)["scores"].shape == (4, 3)
