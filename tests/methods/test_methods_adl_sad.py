"""ADL and SAD by name: their term, its weight, and the anchors that it leaves alone."""

import numpy as np
import pytest
import tensorflow as tf

from keras_hkd import methods
from keras_hkd.detectors import build
from keras_hkd.hierarchies import ClassLogits
from keras_hkd.losses import AdaptiveDistillation

SIZE = (64, 64)


@pytest.fixture(scope="module")
def pair():
    return [build("retinanet_micro", image_size=SIZE, seed=seed) for seed in (1, 2)]


@pytest.fixture(scope="module")
def batch():
    images = np.random.default_rng(0).uniform(0, 255, (2, *SIZE, 3)).astype("float32")
    boxes = np.array([[(10, 8, 40, 56)], [(4, 4, 30, 60)]], "float32")
    regions = np.array([[(40, 0, 64, 64)], [(-1, -1, -1, -1)]], "float32")
    labels = {"boxes": boxes, "classes": np.zeros((2, 1), "float32"), "ignore_boxes": regions}
    return images, labels


@pytest.mark.parametrize("method", [methods.adl, methods.sad])
def test_one_term_over_all_anchors_with_weight_one(pair, method):
    distiller = method(*pair)
    (term,), (weight,) = distiller.distillation_losses, distiller.distillation_loss_weights
    assert (type(term), term.at) == (ClassLogits, "all")
    assert term.loss.get_config() == AdaptiveDistillation().get_config()
    assert (float(weight(0)), distiller.student_loss_weight) == (1.0, 1.0)


def test_options_reach_the_loss(pair):
    distiller = methods.sad(*pair, weight=0.5, student_loss_weight=2, form="paper", beta=1.0)
    loss = distiller.distillation_losses[0].loss
    assert (loss.form, loss.beta) == ("paper", 1.0)
    assert float(distiller.distillation_loss_weights[0](7)) == 0.5
    assert distiller.student_loss_weight == 2.0
    with pytest.raises((TypeError, ValueError), match="gama"):
        methods.adl(*pair, gama=2.0)


def test_ignored_anchors_have_exactly_zero_gradient_and_the_others_have_not(pair, batch):
    images, labels = batch
    distiller = methods.adl(*pair, student_loss_weight=0.0)
    student = distiller.student
    with tf.GradientTape() as tape:
        outputs = dict(distiller(images))
        tape.watch(outputs["class_logits"])
        loss = distiller.compute_loss(images, labels, outputs, training=False)
    gradient = tape.gradient(loss, outputs["class_logits"]).numpy()
    ignored = np.asarray(student.assign(outputs, labels, SIZE).ignored)
    band = np.asarray(
        student.assign(outputs, {**labels, "ignore_boxes": -np.ones((2, 1, 4))}, SIZE).ignored
    )
    assert band.any()  # anchors that half overlap a person, and those in the ignore region
    assert (ignored & ~band).any()
    assert np.all(gradient[ignored] == 0.0)
    assert np.mean(gradient[~ignored] != 0.0) > 0.5  # of the easiest it is below float32


def test_boxes_are_not_distilled(pair, batch):
    images, labels = batch
    distiller = methods.adl(*pair, student_loss_weight=0.0)
    with tf.GradientTape() as tape:
        outputs = dict(distiller(images))
        tape.watch(outputs["box_outputs"])
        loss = distiller.compute_loss(images, labels, outputs, training=False)
    gradient = tape.gradient(loss, outputs["box_outputs"])
    assert gradient is None or not np.any(gradient)


def test_other_classes_and_options_are_refused(pair):
    with pytest.raises(ValueError, match="has no 'person'"):
        methods.adl(build("yolo_v8_micro", image_size=SIZE, class_names=("car",)), pair[1])
    with pytest.raises(TypeError, match="'gama'. Did you mean 'gamma'.*Allowed: weight"):
        methods.adl(*pair, gama=1.0)


def test_what_each_method_is_made_from():
    described = {name: methods.described(name) for name in ("adl", "sad")}
    assert [method.teacher for method in described.values()] == ["frozen", "frozen"]
    assert [method.unlabelled for method in described.values()] == [False, True]
