"""LD as one call."""

import pytest

from keras_hkd.detectors import build
from keras_hkd.methods.ld import ld


def test_options_go_to_the_loss_and_the_weights():
    teacher, student = (build("yolo_v8_micro", image_size=(64, 64), seed=seed) for seed in (1, 2))
    distiller = ld(teacher, student, weight=2.0, student_loss_weight=0.5, temperature=5.0)
    assert distiller.term_names == ("boxes",)
    assert [float(weight) for weight in distiller.term_weights()] == [0.5, 0.5, 2.0]
    assert distiller.distillation_losses[0].loss.temperature == 5.0
    with pytest.raises(TypeError, match="Did you mean 'temperature'"):
        ld(teacher, student, temperatur=5.0)


def test_features_join_where_wanted():
    teacher, student = (build("yolo_v8_micro", image_size=(64, 64), seed=seed) for seed in (1, 2))
    distiller = ld(teacher, student, weight=19.0, pyramid_weight=6.0)
    assert distiller.term_names == ("boxes", "pyramid")
    assert [float(weight) for weight in distiller.term_weights()] == [1.0, 1.0, 19.0, 6.0]
    assert type(distiller.distillation_losses[1].loss).__name__ == "PearsonCorrelation"


def test_a_student_without_distributions_is_refused():
    teacher = build("yolo_v8_micro", image_size=(64, 64), seed=1)
    student = build("retinanet_micro", image_size=(64, 64), seed=2)
    with pytest.raises(ValueError, match="distributions over bins"):
        ld(teacher, student)
