"""Classifiers as teacher and student, raw Keras models included; no detector library is loaded."""

import keras
import numpy as np
import pytest

from keras_hkd.distillation import Distiller, weights_hash
from keras_hkd.hierarchies import Logits, Pyramid
from keras_hkd.losses import FeatureImitation, LogitDistillation


def raw(width, seed):
    keras.utils.set_random_seed(seed)
    images = keras.Input((32, 32, 3))
    x = keras.layers.Rescaling(1 / 255)(images)
    x = keras.layers.Conv2D(width, 3, strides=4, padding="same", activation="relu")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, keras.layers.Dense(3, activation="softmax")(x), name=f"raw{width}")


@pytest.fixture
def images():
    return np.random.default_rng(0).uniform(0, 255, (6, 32, 32, 3)).astype("float32")


LABELS = {"classes": np.array([0, 1, 2, 0, -1, 2])}


def test_raw_models_distil_and_only_the_student_changes(images, fresh_python, tmp_path):
    teacher, student = raw(8, 1), raw(4, 2)
    distiller = Distiller(teacher, student, Logits(LogitDistillation(temperature=2.0)), 3.0)
    assert distiller.teacher.model is teacher and distiller.student.model is student
    frozen, before = weights_hash(teacher), weights_hash(student)
    distiller.compile(keras.optimizers.SGD(0.05))
    logs = distiller.fit(images, LABELS, batch_size=3, epochs=2, verbose=0).history
    assert set(logs) == {"loss", "class_loss", "logits_loss"}
    for total, own, term in zip(*(logs[key] for key in sorted(logs, key=len)), strict=True):
        assert total == pytest.approx(own + 3.0 * term, rel=1e-4)
    assert weights_hash(teacher) == frozen and weights_hash(student) != before
    assert distiller.predict(images, verbose=0)["scores"].shape == (6, 3)
    distiller.student.save(tmp_path / "student.keras")
    script = (
        "import sys, keras, keras_hkd.classifiers.classifier\n"
        "model = keras.saving.load_model(sys.argv[1])\n"
        "loaded = [name for name in sys.modules if 'distill' in name and 'keras_hkd' in name]\n"
        "print(type(model).__name__, model.count_params(), loaded, 'keras_cv' in sys.modules)"
    )
    told = fresh_python(script, tmp_path / "student.keras")
    assert told.strip() == f"Classifier {student.count_params()} [] False"


def test_a_copy_of_the_teacher_has_nothing_to_learn_from_it(images):
    teacher, student = raw(4, 1), raw(4, 2)
    student.set_weights(teacher.get_weights())
    distiller = Distiller(teacher, student, Logits(LogitDistillation()))
    terms = distiller.compute_terms(images, LABELS, distiller(images))
    assert float(terms["logits_loss"]) == pytest.approx(0.0, abs=1e-6)
    assert float(terms["class_loss"]) > 0


def test_terms_of_the_other_kind_are_refused():
    with pytest.raises(ValueError, match="Pyramid reads detectors only.*a classifier as teacher"):
        Distiller(raw(8, 1), raw(4, 2), Pyramid(FeatureImitation()))


def test_detectors_are_refused_by_classifier_terms(pair_of):
    with pytest.raises(ValueError, match="Logits reads classifiers only.*a detector as teacher"):
        Distiller(*pair_of("yolo_v8"), Logits(LogitDistillation()))
