"""Classifiers through `train_model`: checkpoints, resume, refusal of other runs."""

import keras
import numpy as np
import pytest

from keras_hkd import classifiers
from keras_hkd.data import load_classification
from keras_hkd.distillation import Distiller
from keras_hkd.hierarchies import Logits
from keras_hkd.losses import LogitDistillation
from keras_hkd.training import DifferentRunError, TrainingSettings, train_model, training_scope

SETTINGS = TrainingSettings(
    epochs=2, batch_size=4, image_size=(32, 32), ema_momentum=0.9, validate_every=1
)


def images(name, num_images=8):
    size = "num_classes=2&height=32&width=32"
    return load_classification(f"synthetic:{name}?num_images={num_images}&{size}")


class Interrupted(keras.callbacks.Callback):
    """Ends the process's work after the first epoch, before its checkpoint."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


def distiller():
    with training_scope(SETTINGS):
        teacher, student = (
            classifiers.build("cnn_micro", class_names=("person", "car"), seed=seed)
            for seed in (1, 2)
        )
        return Distiller(teacher, student, Logits(LogitDistillation()))


@pytest.mark.long
def test_a_distilled_classifier_resumes_as_if_it_had_never_stopped(tmp_path):
    train, val = images("train"), images("val", 4)
    whole = distiller()
    history = train_model(whole, train, SETTINGS, tmp_path / "whole", validation=val)
    assert {"loss", "class_loss", "logits_loss", "val_accuracy"} <= set(history)
    assert [len(row) for row in history.values()] == [2] * len(history)
    with pytest.raises(KeyboardInterrupt):
        train_model(distiller(), train, SETTINGS, tmp_path / "run", callbacks=[Interrupted()])
    resumed = distiller()
    train_model(resumed, train, SETTINGS, tmp_path / "run", resume=True)
    for a, b in zip(whole.student.variables, resumed.student.variables, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    with pytest.raises(DifferentRunError, match="data_hash"):
        train_model(distiller(), val, SETTINGS, tmp_path / "run", resume=True)
