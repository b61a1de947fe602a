"""A classifier with branches: who learns what, and what ships."""

import keras
import numpy as np
import pytest

from keras_hkd.classifiers import SelfSupervisedClassifier, build, load_classifier, rotate_four

SIZE = (32, 32)
LABELS = {"classes": np.array([0, 2, -1])}


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).uniform(0, 255, (3, *SIZE, 3)).astype("float32")


def made(mode="student", **options):
    classifier = build("cnn_micro", class_names="abc", image_size=SIZE, seed=1)
    return SelfSupervisedClassifier(classifier, mode=mode, **{"branch_style": "light", **options})


def values(variables):
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]


def changed(variables, before):
    return [not np.array_equal(v, b) for v, b in zip(values(variables), before, strict=True)]


def log_softmax(logits):
    logits = np.asarray(logits, np.float64)
    logits = logits - logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def losses(learner, outputs):
    assignment = learner.assign(outputs, learner.check_labels(LABELS), SIZE)
    found = learner.task_losses(outputs, assignment, SIZE)
    return {name: float(value) for name, value in found.items()}


def test_outputs(images):
    learner = made()
    outputs = learner(images)
    assert outputs["logits"].shape == (3, 3) and outputs["rotated_logits"].shape == (12, 3)
    assert {k: tuple(v.shape) for k, v in outputs["branch_logits"].items()} == {
        level: (12, 12) for level in ("C2", "C3", "C4", "C5")
    }
    plain = learner.classifier(images)
    for key in ("logits", "embedding"):
        np.testing.assert_allclose(outputs[key], plain[key], rtol=1e-4, atol=1e-5)
    for logits in outputs["branch_logits"].values():
        joint = np.exp(log_softmax(logits))
        np.testing.assert_allclose(joint.sum(axis=-1), 1.0, rtol=1e-6)
        classes = joint.reshape(12, 3, 4).sum(axis=-1)  # whatever the turn
        np.testing.assert_allclose(classes.sum(axis=-1), 1.0, rtol=1e-6)


def test_the_classifiers_loss_sees_upright_images_only(images):
    learner = made("joint")
    rotated = np.array(rotate_four(images))
    others = rotated.copy()
    others[np.arange(12) % 4 > 0] = 17.0
    before, after = (losses(learner, learner.call_rotated(x)) for x in (rotated, others))
    assert after["class_loss"] == pytest.approx(before["class_loss"], rel=1e-6)
    assert abs(after["branch_class_loss"] - before["branch_class_loss"]) > 1e-4


def test_losses_are_the_cross_entropies_of_class_and_of_class_and_turn(images):
    learner = made("joint")
    outputs = learner(images)
    own = -(log_softmax(outputs["logits"])[0, 0] + log_softmax(outputs["logits"])[1, 2]) / 2
    branches = 0.0
    for logits in outputs["branch_logits"].values():
        rows = log_softmax(logits)
        first = [rows[turn, 4 * 0 + turn] for turn in range(4)]
        second = [rows[4 + turn, 4 * 2 + turn] for turn in range(4)]
        branches -= np.mean([*first, *second])  # the third image has no label
    assert losses(learner, outputs) == {
        "class_loss": pytest.approx(own, rel=1e-5),
        "branch_class_loss": pytest.approx(branches, rel=1e-5),
    }
    assert set(losses(made("student"), outputs)) == {"class_loss"}
    assert set(losses(made("frozen"), outputs)) == {"branch_class_loss"}


@pytest.mark.parametrize("set_again", [False, True])
def test_a_frozen_classifier_does_not_move_and_its_branches_do(images, set_again):
    learner = made("frozen")
    if set_again:
        learner.trainable = True
    classifier = learner.classifier
    metrics = {id(v) for tracker in classifier.loss_trackers for v in tracker.variables}
    own = [v for v in classifier.variables if id(v) not in metrics]
    before, branches = values(own), values(learner.branches["C3"].variables)
    learner.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    logs = learner.train_on_batch(images, LABELS, return_dict=True)
    assert set(logs) == {"loss", "branch_class_loss"}
    assert any("moving" in v.path for v in own)
    assert not any(changed(own, before))
    assert all(changed(learner.branches["C3"].variables, branches))


def test_jointly_all_of_it_moves(images):
    learner = made("joint")
    watched = [*learner.classifier.network.variables, *learner.branches["C2"].variables]
    before = values(watched)
    learner.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    logs = learner.train_on_batch(images, LABELS, return_dict=True)
    assert logs["loss"] == pytest.approx(logs["class_loss"] + logs["branch_class_loss"], rel=1e-5)
    assert np.mean(changed(watched, before)) > 0.9


def test_what_ships_is_the_classifier_that_was_given(images):
    learner = made()
    assert learner.deployed is learner.classifier
    plain = build("cnn_micro", class_names="abc", image_size=SIZE)
    assert learner.deployed.count_params() == plain.count_params() < learner.count_params()
    scores = learner.predict_on_batch(images)["scores"]
    np.testing.assert_allclose(scores, plain_scores(learner, images), rtol=1e-4)
    assert SelfSupervisedClassifier(learner).deployed is learner.deployed


def plain_scores(learner, images):
    return np.exp(log_softmax(learner.classifier(images)["logits"]))


def test_it_is_saved_with_its_branches(tmp_path, images):
    learner = made("frozen", levels=("C5", "C3"))
    learner.save(tmp_path / "teacher.keras")
    loaded = load_classifier(tmp_path / "teacher.keras")
    assert isinstance(loaded, SelfSupervisedClassifier)
    assert (loaded.mode, loaded.levels, loaded.class_names) == (
        "frozen",
        ("C3", "C5"),
        tuple("abc"),
    )
    for level, logits in learner(images)["branch_logits"].items():
        np.testing.assert_allclose(loaded(images)["branch_logits"][level], logits, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "alone"}, "`mode` must be one of"),
        ({"branch_style": "deep"}, "`branch_style` must be one of"),
        ({"levels": ("C7",)}, r"has the stages \('C2'"),
    ],
)
def test_unknown_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        made(**options)
