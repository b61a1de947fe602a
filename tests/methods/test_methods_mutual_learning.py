"""Mutual learning by name: who ships, the term, its options."""

import pytest

from keras_hkd import methods
from keras_hkd.detectors import build
from keras_hkd.hierarchies import Pyramid
from keras_hkd.losses import FeatureImitation


@pytest.fixture(scope="module")
def pair():
    return [build("yolo_v8_micro", image_size=(64, 64), seed=seed) for seed in (1, 2)]


def test_the_student_ships_and_the_peer_learns_along(pair):
    peer, student = pair
    distiller = methods.mutual(peer, student)
    assert distiller.student is student
    assert distiller.peers == (student, peer)
    assert distiller.term_names == ("class_logits",)
    assert distiller.distillation_losses[0].loss.form == "paper"
    trained = {id(variable) for variable in distiller.trainable_variables}
    assert trained >= {id(variable) for variable in peer.trainable_variables}
    assert methods.described("mutual").teacher == "peer"


def test_options(pair):
    distiller = methods.mutual(*pair, weight=0.5, student_loss_weight=2.0, form="released")
    assert distiller.distillation_losses[0].loss.form == "released"
    assert float(distiller.distillation_loss_weights[0](0)) == 0.5
    assert distiller.student_loss_weight == 2.0
    term = Pyramid(FeatureImitation())
    assert methods.mutual(*pair, distillation_losses=[term]).term_names == ("pyramid",)
    with pytest.raises(TypeError, match="unexpected keyword arguments.*beta"):
        methods.mutual(*pair, distillation_losses=term, beta=1.0)
