"""HSAKD by name: what is compared, what ships, who trains the teacher's branches."""

import keras
import numpy as np
import pytest

from keras_hkd import classifiers, methods
from keras_hkd.classifiers import SelfSupervisedClassifier, load_classifier
from keras_hkd.data import load_classification
from keras_hkd.distillation import weights_hash
from keras_hkd.methods.hsakd import hsakd, hsakd_teacher, method
from keras_hkd.methods.hsakd.method import prepared_teacher
from keras_hkd.training import TrainingSettings
from keras_hkd.training.identity import DifferentRunError

SIZE = (32, 32)
LABELS = {"classes": np.array([0, 2, -1])}


def build(name="cnn_micro", seed=1):
    return classifiers.build(
        name, class_names=("person", "car", "tree"), image_size=SIZE, seed=seed
    )


def with_branches(seed=1):
    return SelfSupervisedClassifier(build(seed=seed), mode="frozen", branch_style="light")


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).uniform(0, 255, (3, *SIZE, 3)).astype("float32")


def terms(distiller, images):
    outputs = distiller(images)
    return {k: float(v) for k, v in distiller.compute_terms(images, LABELS, outputs).items()}


def test_a_step_trains_student_and_branches_and_leaves_the_teacher(images, tmp_path):
    teacher, student = with_branches(), build(seed=2)
    distiller = hsakd(teacher, student, branch_weight=2.0, logit_weight=0.5, branch_style="light")
    found = terms(distiller, images)
    assert set(found) == {"class_loss", "branches_loss", "rotated_logits_loss"}
    total = distiller.compute_loss(images, LABELS, distiller(images), training=False)
    wanted = found["class_loss"] + 2.0 * found["branches_loss"] + 0.5 * found["rotated_logits_loss"]
    assert float(total) == pytest.approx(wanted, rel=1e-5)
    frozen, before = weights_hash(teacher), weights_hash(student)
    branch = weights_hash(distiller.learner.branches["C2"])
    distiller.compile(keras.optimizers.SGD(0.05), run_eagerly=True)
    distiller.train_on_batch(images, LABELS)
    assert weights_hash(teacher) == frozen and weights_hash(student) != before
    assert weights_hash(distiller.learner.branches["C2"]) != branch

    assert distiller.student is student
    distiller.student.save(tmp_path / "student.keras")
    loaded = load_classifier(tmp_path / "student.keras")
    assert type(loaded) is classifiers.Classifier
    assert loaded.count_params() == build().count_params()
    np.testing.assert_allclose(loaded(images)["logits"], student(images)["logits"], rtol=1e-5)


def test_a_copy_has_nothing_to_learn(images):
    teacher, student = with_branches(), build(seed=2)
    distiller = hsakd(teacher, student, branch_style="light")
    distiller.learner.set_weights(teacher.get_weights())
    found = terms(distiller, images)
    assert found["branches_loss"] == pytest.approx(0.0, abs=1e-6)
    assert found["rotated_logits_loss"] == pytest.approx(0.0, abs=1e-6)
    assert found["class_loss"] > 0


def test_the_distilled_backbone_goes_into_a_detector(images, tmp_path):
    from keras_hkd import detectors

    student = build("mobilenet_v2_0.35")
    distiller = hsakd(with_branches(), student, branch_style="light")
    assert distiller.learner.levels == ("C2", "C3", "C4", "C5")
    path = tmp_path / "backbone.weights.h5"
    classifiers.save_backbone(distiller.student, path)
    detector = detectors.build("yolo_v8_mobilenet_v2_0.35", backbone_weights=path)
    kernels = [
        next(v for v in model.variables if v.path.endswith("block_9_project/kernel"))
        for model in (student, detector)
    ]
    np.testing.assert_array_equal(*kernels)


@pytest.fixture(scope="module")
def dataset():
    return load_classification("synthetic:t?num_images=6&num_classes=3&height=32&width=32")


SETTINGS = TrainingSettings(
    epochs=1, batch_size=3, image_size=SIZE, warmup_epochs=0.0, learning_rate=1e-2, augment=False
)


def test_a_classifier_gets_trained_branches_once(dataset, tmp_path):
    options = {"teacher_branch_style": "light"}
    classifier = build()
    own, fresh = weights_hash(classifier), prepared_teacher(classifier, **options)[0]
    classifier.trainable = True
    teacher = hsakd_teacher(classifier, dataset, SETTINGS, tmp_path / "run", **options)
    assert teacher.deployed is classifier and weights_hash(classifier) == own
    assert weights_hash(teacher.branches["C2"]) != weights_hash(fresh.branches["C2"])
    saved = load_classifier(tmp_path / "run" / "teacher.keras")
    assert weights_hash(saved) == weights_hash(teacher)
    assert hsakd_teacher(saved, None, None, None) is saved
    with pytest.raises(ValueError, match="gets none: leave them out"):
        hsakd_teacher(saved, None, None, None, teacher_mode="joint")

    again = hsakd_teacher(build(), dataset, SETTINGS, tmp_path / "run", resume=True, **options)
    assert weights_hash(again) == weights_hash(teacher)
    with pytest.raises(DifferentRunError, match="inputs.classifier_hash was"):
        hsakd_teacher(build(seed=5), dataset, SETTINGS, tmp_path / "run", resume=True, **options)


@pytest.mark.parametrize("mode", ["joint", "frozen"])
def test_a_teacher_that_was_frozen_before_learns(mode, tmp_path, monkeypatch):
    classifier, trained = build(), []
    classifier.trainable = False
    learner, train = prepared_teacher(classifier, teacher_mode=mode)
    monkeypatch.setattr(
        method,
        "train_model",
        lambda model, *_, **__: trained.extend(
            bool(part.trainable_variables) for part in (model.branches["C2"], model.classifier)
        ),
    )
    train(None, None, tmp_path / "run")
    assert trained == [True, mode == "joint"]
    learner.trainable = False
    assert not learner.trainable_variables


def test_what_it_cannot_serve_is_refused():
    with pytest.raises(ValueError, match="Train its branches first: teacher = hsakd_teacher"):
        hsakd(build(), build(seed=2))
    with pytest.raises(ValueError, match="the same classes in the same order"):
        hsakd(with_branches(), classifiers.build("cnn_micro", class_names="abc"))
    with pytest.raises(TypeError, match="unexpected keyword argument 'beta'"):
        hsakd(with_branches(), build(seed=2), beta=1)


def test_detectors_are_compared_on_crops(tmp_path):
    from keras_hkd.detectors import build as build_detector
    from keras_hkd.detectors import load_detector

    teacher, student = (
        build_detector("yolo_v8_micro", image_size=(64, 64), seed=seed) for seed in (1, 2)
    )
    distiller = hsakd(teacher, student, crop_size=32)
    assert distiller.term_names == ("crop_rotations",)
    assert float(distiller.distillation_loss_weights[0](0)) == pytest.approx(0.1)
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    boxes = np.array([[(10, 8, 40, 56)], [(4, 4, 20, 40)]], "float32")
    labels = {"boxes": boxes, "classes": np.zeros((2, 1), "float32")}
    branches = distiller.distillation_losses[0].teacher_branches["P4"]
    frozen, before = weights_hash(teacher), weights_hash(branches)
    distiller.compile(keras.optimizers.SGD(0.01), run_eagerly=True)
    logs = distiller.train_on_batch(images, labels, return_dict=True)
    assert set(logs) == {"loss", "class_loss", "box_loss", "crop_rotations_loss"}
    assert weights_hash(teacher) == frozen and weights_hash(branches) != before
    distiller.student.save(tmp_path / "student.keras")
    plain = build_detector("yolo_v8_micro", image_size=(64, 64))
    assert load_detector(tmp_path / "student.keras").count_params() == plain.count_params()
    with pytest.raises(ValueError, match="two classifiers or two detectors"):
        hsakd(teacher, build())


def test_registered():
    assert methods.described("hsakd").teacher == "frozen"
    teacher, train, options = methods.prepared(
        "hsakd", build(), {"teacher_branch_style": "light", "temperature": 4.0}
    )
    assert teacher.branch_style == "light" and callable(train) and options == {"temperature": 4.0}
