"""HSSAKD by name: symmetric, silent between equals, each half for one peer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_hkd import classifiers, methods
from keras_hkd.methods.hssakd import hssakd

SIZE = (32, 32)
LABELS = {"classes": np.array([0, 2, -1])}


def build(seed):
    return classifiers.build("cnn_micro", class_names="abc", image_size=SIZE, seed=seed)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).uniform(0, 255, (3, *SIZE, 3)).astype("float32")


@pytest.fixture
def distiller():
    return hssakd(build(1), build(2), branch_style="light")


def terms(distiller, images):
    outputs = distiller(images)
    return {k: float(v) for k, v in distiller.compute_terms(images, LABELS, outputs).items()}


def test_the_loss_is_the_sum_of_both_peers_and_both_ways(distiller, images):
    found = terms(distiller, images)
    assert list(found) == [
        "class_loss",
        "branch_class_loss",
        "peer_class_loss",
        "peer_branch_class_loss",
        "branches_loss",
        "rotated_logits_loss",
    ]
    total = distiller.compute_loss(images, LABELS, distiller(images), training=False)
    assert float(total) == pytest.approx(sum(found.values()), rel=1e-5)
    outputs = distiller(images)
    q, p = (
        np.exp(np.float64(outputs[name]["rotated_logits"]) / 3.0) for name in ("first", "second")
    )
    q, p = (x / x.sum(axis=-1, keepdims=True) for x in (q, p))
    both = 9.0 * ((q - p) * (np.log(q) - np.log(p))).sum(axis=-1).mean()  # KL both ways
    assert found["rotated_logits_loss"] == pytest.approx(both, rel=1e-4)


def test_swapping_the_peers_leaves_the_loss_unchanged(distiller, images):
    swapped = hssakd(build(3), build(4), branch_style="light")
    for learner, other in zip(swapped.peers, distiller.peers[::-1], strict=True):
        learner.set_weights(other.get_weights())
    one, two = terms(distiller, images), terms(swapped, images)
    assert sum(two.values()) == pytest.approx(sum(one.values()), rel=1e-5)
    assert two["branches_loss"] == pytest.approx(one["branches_loss"], rel=1e-4)
    assert two["class_loss"] == pytest.approx(one["peer_class_loss"], rel=1e-5)


def test_equal_peers_have_nothing_to_tell_each_other(distiller, images):
    first, second = distiller.peers
    second.set_weights(first.get_weights())
    found = terms(distiller, images)
    assert found["branches_loss"] == pytest.approx(0.0, abs=1e-6)
    assert found["rotated_logits_loss"] == pytest.approx(0.0, abs=1e-6)
    assert found["branch_class_loss"] == pytest.approx(found["peer_branch_class_loss"])


@pytest.mark.parametrize("index", [0, 1])
def test_each_half_of_a_term_trains_one_peer(distiller, images, index, monkeypatch):
    term, seen = distiller.distillation_losses[index], []
    monkeypatch.setattr(term, "compute", lambda step: seen.append(term.ways(step)) or 0.0)
    variables = [[v.value for v in peer.trainable_variables] for peer in distiller.peers]
    with tf.GradientTape(persistent=True) as tape:
        distiller.compute_terms(images, LABELS, distiller(images, training=True))
    for half, learns in zip(seen[0], (0, 1), strict=True):
        reached = [any(g is not None for g in tape.gradient(half, one)) for one in variables]
        assert reached == [learns == 0, learns == 1]


def test_one_peer_ships_without_branches(images, tmp_path):
    peer, student = build(1), build(2)
    distiller = hssakd(peer, student, branch_style="light")
    before = [model.get_weights()[0] for model in (peer, student)]
    distiller.compile(keras.optimizers.SGD(0.01), run_eagerly=True)
    distiller.train_on_batch(images, LABELS)
    for model, kernel in zip((peer, student), before, strict=True):
        assert not np.array_equal(model.get_weights()[0], kernel)
    assert distiller.student is student
    distiller.student.save(tmp_path / "student.keras")
    loaded = classifiers.load_classifier(tmp_path / "student.keras")
    assert type(loaded) is classifiers.Classifier
    assert loaded.count_params() == build(1).count_params()


def test_what_it_cannot_serve_is_refused():
    with pytest.raises(ValueError, match="share .* variables"):
        hssakd(student := build(1), student)
    assert methods.described("hssakd").teacher == "peer"
