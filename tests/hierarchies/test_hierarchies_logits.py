"""Whole-image logits: what is compared, and of whom."""

import types

import keras
import numpy as np
import pytest

from keras_hkd.hierarchies import KerasLoss, Logits
from keras_hkd.losses import LogitDistillation

TEACHER = np.array([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0]], "float32")
STUDENT = np.array([[0.0, 1.0, 0.0], [1.0, -2.0, 0.0]], "float32")
STEP = types.SimpleNamespace(
    teacher_outputs={"logits": TEACHER}, student_outputs={"logits": STUDENT}
)


def softmax(x):
    exponentials = np.exp(x - x.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def test_it_is_the_divergence_of_the_softened_classes():
    q, p = softmax(TEACHER / 4.0), softmax(STUDENT / 4.0)
    wanted = 16.0 * (q * np.log(q / p)).sum(-1).mean()
    found = Logits(LogitDistillation(temperature=4.0)).compute(STEP)
    assert float(found) == pytest.approx(wanted, rel=1e-5)


def test_keras_losses_read_whole_image_logits_too():
    hierarchy = KerasLoss(keras.distillation.LogitsDistillation(temperature=1.0, loss="mse"))
    assert float(hierarchy.compute(STEP)) == pytest.approx(np.square(TEACHER - STUDENT).mean())


def test_other_classes_are_refused():
    ours, theirs = (types.SimpleNamespace(class_names=tuple(names)) for names in ("abc", "acb"))
    with pytest.raises(ValueError, match="same classes in the same order"):
        Logits(LogitDistillation()).attach(ours, theirs)


def test_config_round_trip():
    hierarchy = Logits(LogitDistillation(temperature=2.0), name="kd")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(hierarchy))
    assert again.name == "kd" and again.loss.temperature == 2.0
