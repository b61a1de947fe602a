"""Accuracies against counting by hand, and a classifier's answers brought into order."""

import types

import numpy as np
import pytest

from keras_hkd.data import classification_dataset
from keras_hkd.evaluation import ClassificationMetrics, predict_classes, score_classes

NAMES = ("dark", "grey", "light")


class Brightness:
    """Says which third of the scale an image's mean brightness is in; counts its batches."""

    class_names, image_size = NAMES, (8, 8)

    def __init__(self):
        self.shapes = []

    def predict_on_batch(self, images):
        self.shapes.append(images.shape)
        means = np.asarray(images).mean(axis=(1, 2, 3), keepdims=False)
        return {"scores": np.eye(3, dtype="float32")[np.minimum(means // 85, 2).astype(int)]}

    variables = weights = ()


def dataset(classes, levels):
    images = [np.full((8, 8, 3), level, np.uint8) for level in levels]
    return classification_dataset(images, classes, NAMES)


def test_scores_by_hand():
    scores = np.eye(3)[[0, 0, 0, 1, 2, 0]]
    found = score_classes(scores, [0, 0, 0, 1, 0, -1], NAMES)
    assert found["accuracy"] == pytest.approx(4 / 5)
    assert found["recall"]["dark"] == pytest.approx(3 / 4) and found["recall"]["grey"] == 1.0
    assert np.isnan(found["recall"]["light"])
    assert found["balanced_accuracy"] == pytest.approx((3 / 4 + 1) / 2)
    assert found["num_images"] == 5


def test_answers_come_in_order_from_batches_of_one_size():
    classifier = Brightness()
    images = dataset([0, 1, 2, 2, 0], (10, 120, 250, 240, 30))
    scores = predict_classes(classifier, images, batch_size=2)
    assert scores.argmax(-1).tolist() == [0, 1, 2, 2, 0]
    assert set(classifier.shapes) == {(2, 8, 8, 3)}


def test_the_callback_logs_the_student_of_a_distiller():
    callback = ClassificationMetrics(dataset([0, 1, 1], (10, 120, 250)), every=2)
    callback.set_model(types.SimpleNamespace(student=Brightness()))
    logs = {}
    callback.on_epoch_end(0, logs)
    assert not logs
    callback.on_epoch_end(1, logs)
    assert logs == {
        "val_accuracy": pytest.approx(2 / 3),
        "val_balanced_accuracy": pytest.approx(0.75),
    }


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="scores of shape"):
        score_classes(np.zeros((2, 2)), [0, 1], NAMES)
    with pytest.raises(ValueError, match="image whose class is known. Received: none"):
        score_classes(np.zeros((1, 3)), [-1], NAMES)
    classifier = Brightness()
    classifier.class_names = NAMES[::-1]
    with pytest.raises(ValueError, match="class_names=classifier.class_names"):
        predict_classes(classifier, dataset([0], [10]))
