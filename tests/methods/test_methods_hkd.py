"""HKD by name: its terms, their weights, and the options it hands on."""

import pytest

from keras_hkd.detectors import build
from keras_hkd.distillation.schedules import LinearWarmUp
from keras_hkd.losses import FeatureImitation, GIoU
from keras_hkd.methods.hkd import hkd


@pytest.fixture(scope="module")
def pair():
    return [build("yolo_v8_micro", image_size=(64, 64), seed=seed) for seed in (1, 2)]


def test_three_terms_with_the_published_weights(pair):
    distiller = hkd(*pair, weights="published")
    assert distiller.term_names == ("pyramid", "region", "class_tower")
    assert [float(w(0)) for w in distiller.distillation_loss_weights] == [0.5, 30.0, 30.0]
    assert distiller.student_loss_weight == 1.0
    assert all(type(h.loss) is FeatureImitation for h in distiller.distillation_losses)


def test_terms_are_balanced_unless_a_weight_is_given(pair):
    distiller = hkd(*pair)
    assert distiller.shares == pytest.approx([1 / 6] * 3)
    assert [float(w(0)) for w in distiller.distillation_loss_weights] == [1.0, 1.0, 1.0]
    assert hkd(*pair, shares=[0.1, 0.2, 0.3]).shares == (0.1, 0.2, 0.3)
    with pytest.raises(ValueError, match="but no numbers"):
        hkd(*pair, weights="published", shares=[0.1, 0.2, 0.3])
    distiller = hkd(*pair, region_weight=2)
    assert distiller.balance is None
    assert [float(w(0)) for w in distiller.distillation_loss_weights] == [0.5, 2.0, 30.0]
    assert hkd(*pair, box_weight=2).balance is None
    with pytest.raises(ValueError, match="'balanced', 'published'.*Received: 'papers'"):
        hkd(*pair, weights="papers")


def test_logit_sources(pair):
    logits = hkd(*pair, logit_source="logits", logit_weight=2)
    assert logits.term_names == ("pyramid", "region", "class_logits")
    assert logits.distillation_losses[-1].at == "positives"
    assert float(logits.distillation_loss_weights[-1](0)) == 2.0
    assert hkd(*pair, logit_source=None).term_names == ("pyramid", "region")
    with pytest.raises(ValueError, match="`logit_source` must be one of.*Received.*'head'"):
        hkd(*pair, logit_source="head")


def test_boxes_are_a_fourth_term_where_asked_for(pair):
    distiller = hkd(*pair, box_weight=2.0)
    assert distiller.term_names == ("pyramid", "region", "class_tower", "boxes")
    assert type(distiller.distillation_losses[-1].loss) is GIoU
    assert float(distiller.distillation_loss_weights[-1](0)) == 2.0


def test_options_reach_the_terms(pair):
    warm_up = LinearWarmUp(1.0, steps=10)
    distiller = hkd(
        *pair,
        pyramid_weight=warm_up,
        levels=("P3", "P4"),
        num_detections=3,
        canonical_size=56.0,
        student_loss_weight=0.25,
    )
    pyramid, region, _ = distiller.distillation_losses
    assert pyramid.levels == region.levels == ("P3", "P4")
    assert (region.num_detections, region.canonical_size) == (3, 56.0)
    assert distiller.distillation_loss_weights[0] is warm_up
    assert distiller.student_loss_weight == 0.25
    said = "'num_detection'. Did you mean 'num_detections'.*Allowed: weights, .*max_regions"
    with pytest.raises(TypeError, match=said):
        hkd(*pair, num_detection=3)
    with pytest.raises(TypeError, match="'pyramid_wieght'. Did you mean 'pyramid_weight'"):
        hkd(*pair, pyramid_wieght=3)
