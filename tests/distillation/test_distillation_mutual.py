"""Two peers: what each learns, from whom, and which of them ships."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_hkd.detectors import build
from keras_hkd.distillation import MutualDistiller
from keras_hkd.hierarchies import Boxes, ClassLogits, CrossHead, Pyramid, Region
from keras_hkd.losses import (
    AdaptiveDistillation,
    FeatureImitation,
    FocalGlobal,
    PearsonCorrelation,
)

SIZE = (64, 64)


def terms():
    return [
        ClassLogits(AdaptiveDistillation(form="paper")),
        Pyramid(FeatureImitation()),
        Region(FeatureImitation(), num_detections=4, score_threshold=0.0),
        Boxes(FeatureImitation()),
    ]


@pytest.fixture
def peers(pair_of):
    """Give the shared pair, of which another test may have frozen one as its teacher."""
    pair = pair_of("yolo_v8")
    for peer in pair:
        peer.trainable = True
    return pair


def computed(distiller, batch, training=False):
    images, labels = batch
    outputs = distiller(images, training=training)
    return {name: float(v) for name, v in distiller.compute_terms(images, labels, outputs).items()}


def test_swapping_the_peers_leaves_the_loss_unchanged(peers, batch):
    images, labels = batch
    one, other = (MutualDistiller(pair, terms()) for pair in (peers, peers[::-1]))
    losses, swapped = computed(one, batch), computed(other, batch)
    for name in ("class_loss", "box_loss"):
        assert swapped[name] == pytest.approx(losses[f"peer_{name}"])
        assert losses[name] != losses[f"peer_{name}"]
    for name in one.term_names:
        assert losses[f"{name}_loss"] > 0
        assert swapped[f"{name}_loss"] == pytest.approx(losses[f"{name}_loss"], rel=1e-5)
    totals = [float(model.compute_loss(images, labels, model(images))) for model in (one, other)]
    assert totals[0] == pytest.approx(totals[1], rel=1e-5)
    assert totals[0] == pytest.approx(sum(losses.values()), rel=1e-5)


def test_equal_peers_have_nothing_to_tell_each_other(peers, batch):
    first, second = peers
    own = second.get_weights()
    second.set_weights(first.get_weights())
    losses = computed(MutualDistiller(peers, terms()), batch)
    second.set_weights(own)
    for name in ("class_logits", "pyramid", "region", "boxes"):
        assert losses[f"{name}_loss"] == pytest.approx(0.0, abs=1e-9)
    assert losses["class_loss"] == pytest.approx(losses["peer_class_loss"])


@pytest.mark.parametrize("index", range(4))
def test_each_half_of_a_term_trains_one_peer(peers, batch, index, monkeypatch):
    distiller = MutualDistiller(peers, terms())
    term, seen = distiller.distillation_losses[index], []
    monkeypatch.setattr(term, "compute", lambda step: seen.append(term.ways(step)) or 0.0)
    images, labels = batch
    variables = [[v.value for v in peer.trainable_variables] for peer in peers]
    with tf.GradientTape(persistent=True) as tape:
        distiller.compute_terms(images, labels, distiller(images, training=True))
    for half, learns in zip(seen[0], (0, 1), strict=True):
        reached = [
            any(gradient is not None for gradient in tape.gradient(half, one)) for one in variables
        ]
        assert reached == [learns == 0, learns == 1]


def test_losses_that_need_labels_are_served_both_ways(peers, batch):
    distiller = MutualDistiller(peers, Pyramid(FocalGlobal(relation_weight=0.0)))
    assert computed(distiller, batch)["pyramid_loss"] > 0


def test_a_cached_teacher_is_no_peer(peers):
    cache = types.SimpleNamespace(teacher=types.SimpleNamespace())
    cache.teacher.cache = cache
    with pytest.raises(TypeError, match="which a cached teacher cannot"):
        MutualDistiller([peers[0], cache], Pyramid(FeatureImitation()))


def test_peers_do_not_train_each_others_heads(peers):
    with pytest.raises(ValueError, match="CrossHead sends .* through layers of the teacher"):
        MutualDistiller(peers, CrossHead())


def test_widths_that_differ_have_a_projection_each_way(wide_model, peers, batch):
    wide_model.trainable = True  # another test may have frozen it as its teacher
    distiller = MutualDistiller([peers[0], wide_model], Pyramid(FeatureImitation()))
    assert len(distiller.projections) == 6
    assert {id(layer) for layer in distiller.projections} <= {
        id(layer) for layer in distiller._flatten_layers()
    }
    count = len(distiller.trainable_variables)
    assert count == 6 * 2 + sum(len(peer.trainable_variables) for peer in distiller.peers)
    assert np.isfinite(computed(distiller, batch)["pyramid_loss"])


def test_a_step_trains_both_and_the_first_ships(batch, tmp_path):
    peers = [build("yolo_v8_micro", image_size=SIZE, seed=seed) for seed in (1, 2)]
    distiller = MutualDistiller(peers, terms(), [1.0, 0.5, 0.5, 0.0])
    distiller.compile(optimizer=keras.optimizers.SGD(1e-3), run_eagerly=True)
    before = [peer.get_weights() for peer in peers]
    calls = []
    for peer in peers:
        inner = peer.network
        peer.network.call = lambda *a, inner=inner, call=inner.call, **k: (
            calls.append(inner) or call(*a, **k)
        )
    logs = distiller.train_on_batch(*batch, return_dict=True)
    assert calls == [peer.network for peer in peers]  # one forward pass of each
    for peer, old in zip(peers, before, strict=True):
        pairs = zip(peer.get_weights(), old, strict=True)
        assert sum(not np.array_equal(a, b) for a, b in pairs) > 0.9 * len(old)
    names = {"class_loss", "box_loss", "class_logits_loss", "pyramid_loss", "region_loss"}
    assert names | {"peer_class_loss", "peer_box_loss", "boxes_loss", "loss"} == set(logs)
    assert distiller.student is peers[0]
    found, expected = distiller.predict_on_batch(batch[0]), peers[0].predict_on_batch(batch[0])
    np.testing.assert_allclose(found["boxes"], expected["boxes"], atol=1e-3)
    distiller.save_weights(tmp_path / "run.weights.h5")
    again = MutualDistiller.from_config(distiller.get_config())
    again.load_weights(tmp_path / "run.weights.h5")
    for a, b in zip(again.get_weights(), distiller.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    weights = [float(weight(0)) for weight in again.distillation_loss_weights]
    assert weights == [1.0, 0.5, 0.5, 0.0]


def test_bad_peers_are_refused(peers):
    term = ClassLogits(AdaptiveDistillation())
    for wrong in (peers[0], [peers[0]], None):
        with pytest.raises(TypeError, match="`peers` must be two models"):
            MutualDistiller(wrong, term)
    with pytest.raises(ValueError, match="peers share .* variables"):
        MutualDistiller([peers[0], peers[0]], term)
    peers[1].trainable = False
    with pytest.raises(ValueError, match="second peer.*is frozen.*trainable = True"):
        MutualDistiller(peers, term)
    peers[1].trainable = True
    with pytest.raises(TypeError, match="must hold hierarchies"):
        MutualDistiller(peers, PearsonCorrelation())
    other = build("yolo_v8_micro", image_size=SIZE, class_names=("car",))
    with pytest.raises(ValueError, match="have the same classes.*car"):
        MutualDistiller([peers[0], other], term)
