"""HKD's properties as numbers: what each term is, what it weighs and whom its gradient reaches."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_hkd.distillation import Distiller, gradient_norms, schedules, weights_hash
from keras_hkd.hierarchies import Boxes, ClassLogits, ClassTower, Pyramid, Region
from keras_hkd.losses import AdaptiveDistillation, FeatureImitation, LogitDistillation
from keras_hkd.methods.hkd import hkd

FAMILIES = pytest.mark.parametrize("family", ["yolo_v8", "retinanet"])


TERMS = ["class_loss", "box_loss", "pyramid_loss", "region_loss", "class_tower_loss"]


@FAMILIES
def test_all_terms_are_zero_for_a_copy_and_not_for_another(family, pair_of, batch):
    teacher, student = pair_of(family)
    images, labels = batch
    distiller = Distiller(
        teacher,
        student,
        [
            Pyramid(FeatureImitation()),
            Region(FeatureImitation(), num_detections=4, score_threshold=0.0),
            ClassTower(FeatureImitation()),
            ClassLogits(FeatureImitation(), at="all"),
            Boxes(FeatureImitation()),
        ],
    )
    assert distiller.projections == []
    other = distiller.compute_terms(images, labels, student(images))
    own = student.get_weights()
    student.set_weights(teacher.get_weights())
    copy = distiller.compute_terms(images, labels, student(images))
    student.set_weights(own)
    assert distiller.term_names == ("pyramid", "region", "class_tower", "class_logits", "boxes")
    names = [f"{name}_loss" for name in distiller.term_names]
    for name in names:
        assert abs(float(copy[name])) < 1e-9, name
        assert float(other[name]) > 1e-12, name


def test_bins_of_box_sides_can_be_distilled_as_distributions(pair_of, batch):
    teacher, student = pair_of("yolo_v8")
    images, labels = batch
    distiller = Distiller(teacher, student, Boxes(LogitDistillation(temperature=1.0)))
    outputs = dict(student(images))
    outputs["box_outputs"] = 20.0 * outputs["box_outputs"] + np.arange(64, dtype="float32") / 20
    assert float(distiller.compute_terms(images, labels, outputs)["boxes_loss"]) > 1e-3


def test_no_weight_gives_exactly_the_plain_loss_and_terms_count_in_proportion(pair_of, batch):
    teacher, student = pair_of("yolo_v8")
    images, labels = batch
    options = {"num_detections": 4, "score_threshold": 0.0}
    outputs = student(images)
    plain = float(student.compute_loss(images, labels, outputs, training=False))
    nothing = hkd(teacher, student, pyramid_weight=0, region_weight=0, logit_weight=0, **options)
    assert float(nothing.compute_loss(images, labels, outputs, training=False)) == plain
    alone = Distiller(teacher, student, [])
    assert float(alone.compute_loss(images, labels, outputs, training=False)) == plain
    terms = {k: float(v) for k, v in nothing.compute_terms(images, labels, outputs).items()}
    assert terms["class_loss"] + terms["box_loss"] == pytest.approx(plain, rel=1e-6)
    nothing.distillation_loss_weights = [schedules.get(w) for w in (3.0, 50.0, 700.0)]
    wanted = (
        plain
        + 3 * terms["pyramid_loss"]
        + 50 * terms["region_loss"]
        + 700 * terms["class_tower_loss"]
    )
    got = float(nothing.compute_loss(images, labels, outputs, training=False))
    assert got == pytest.approx(wanted, rel=1e-6)


def test_gradients_reach_student_and_projections_only(distiller, batch):
    images, labels = batch
    teacher, student = distiller.teacher, distiller.student
    projections = [v for layer in distiller.projections for v in layer.trainable_variables]
    own = student.trainable_variables + projections
    assert {id(v) for v in distiller.trainable_variables} == {id(v) for v in own}
    assert len(distiller.projections) == 7  # three levels twice, one class tower
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([v.value for v in teacher.variables])
        terms = distiller.compute_terms(images, labels, distiller(images, training=False))
        pulled = sum(terms[f"{name}_loss"] for name in distiller.term_names)
        total = pulled + terms["class_loss"] + terms["box_loss"]
    assert all(g is None for g in tape.gradient(total, [v.value for v in teacher.variables]))
    gradients = tape.gradient(total, [v.value for v in own])
    assert all(g is not None and np.isfinite(g).all() for g in gradients)
    kernels = tape.gradient(pulled, [layer.kernel.value for layer in distiller.projections])
    assert any(np.abs(g).max() > 0 for g in kernels)


def test_images_without_people_or_regions_give_zero_and_finite_gradients(distiller, batch):
    images, labels = batch
    nobody = {key: np.full_like(value, -1) for key, value in labels.items()}
    region = distiller.distillation_losses[1]
    region.score_threshold = 1.0
    variables = [v.value for v in distiller.trainable_variables]
    with tf.GradientTape() as tape:
        terms = distiller.compute_terms(images, nobody, distiller(images, training=False))
        total = sum(terms.values())
    assert float(terms["region_loss"]) == float(terms["class_tower_loss"]) == 0.0
    assert float(terms["box_loss"]) == 0.0
    assert float(terms["class_loss"]) > 0 and float(terms["pyramid_loss"]) > 0
    assert all(g is None or np.isfinite(g).all() for g in tape.gradient(total, variables))


def test_families_may_differ_for_pyramid_and_region(pair_of, batch):
    images, labels = batch
    teacher, student = pair_of("retinanet")[0], pair_of("yolo_v8")[1]
    distiller = hkd(teacher, student, logit_source=None, num_detections=4, weights="published")
    assert distiller.term_names == ("pyramid", "region")
    assert len(distiller.projections) == 4  # P5 has 40 channels in both
    terms = distiller.compute_terms(images, labels, student(images))
    assert all(np.isfinite(float(value)) for value in terms.values())
    assert float(terms["pyramid_loss"]) > 0 and float(terms["region_loss"]) > 0


def test_keras_losses_read_logits_and_layers_in_the_same_pass(pair_of, batch):
    images, labels = batch
    teacher, student = pair_of("yolo_v8")
    name = "yolo_v8_head_1_class_1_conv"
    distiller = Distiller(
        teacher,
        student,
        [
            keras.distillation.LogitsDistillation(temperature=2.0, loss="mse"),
            keras.distillation.FeatureDistillation(
                loss="mse", teacher_layer_name=name, student_layer_name=name
            ),
            ClassLogits(AdaptiveDistillation(), at="all"),
        ],
    )
    assert distiller.term_names == ("keras_loss", "keras_loss_2", "class_logits")
    outputs = student(images)
    terms = distiller.compute_terms(images, labels, outputs)
    logits = [np.asarray(d(images)["class_logits"]) for d in (teacher, student)]
    wanted = np.square(logits[0] - logits[1]).mean() / 4
    assert float(terms["keras_loss_loss"]) == pytest.approx(wanted, rel=1e-4)
    features = [np.asarray(d(images)["taps"][name]) for d in (teacher, student)]
    wanted = np.square(features[0] - features[1]).mean()
    assert float(terms["keras_loss_2_loss"]) == pytest.approx(wanted, rel=1e-4)
    with pytest.raises(ValueError, match="has no layer 'yolo_head'.*Did you mean"):
        student.tap("yolo_head")


def test_gradient_shares_sum_to_one_and_change_nothing(distiller, batch, monkeypatch):
    # Traced, this takes a minute; run as it is, seconds.
    monkeypatch.setattr(tf, "function", lambda function=None, **options: function or (lambda f: f))
    before = [weights_hash(m) for m in (distiller.teacher, distiller.student)]
    shares = gradient_norms.gradient_shares(distiller, *batch)
    assert sum(shares.values()) == pytest.approx(1.0)
    assert list(shares) == TERMS
    assert all(0 <= share < 1 for share in shares.values())
    assert [weights_hash(m) for m in (distiller.teacher, distiller.student)] == before
    assert int(distiller.steps_taken) == 0
