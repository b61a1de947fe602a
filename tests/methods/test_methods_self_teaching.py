"""Mean teacher by name: its term, its ramp, its options."""

import pytest

from keras_hkd import methods
from keras_hkd.detectors import build
from keras_hkd.distillation import MeanTeacher
from keras_hkd.hierarchies import ClassLogits, Pyramid
from keras_hkd.losses import FeatureImitation


@pytest.fixture(scope="module")
def student():
    return build("yolo_v8_micro", image_size=(64, 64))


def test_class_logits_under_the_average_warmed_up(student):
    distiller = methods.mean_teacher(student)
    assert type(distiller) is MeanTeacher
    assert (distiller.momentum, distiller.ramp) == (0.999, True)
    (term,), (weight,) = distiller.distillation_losses, distiller.distillation_loss_weights
    assert (type(term), term.loss.form) == (ClassLogits, "paper")
    assert [float(weight(step)) for step in (0, 250, 500, 9000)] == [0.0, 0.5, 1.0, 1.0]
    assert methods.described("mean_teacher").teacher is None


def test_options(student):
    distiller = methods.mean_teacher(student, weight=2.0, momentum=0.5, ramp=False, gamma=1.0)
    assert distiller.distillation_losses[0].loss.gamma == 1.0
    assert float(distiller.distillation_loss_weights[0](0)) == 2.0
    assert float(distiller.momentum_at(0)) == 0.5
    terms = [Pyramid(FeatureImitation()), Pyramid(FeatureImitation())]
    distiller = methods.mean_teacher(student, distillation_losses=terms)
    assert distiller.term_names == ("pyramid", "pyramid_2")
    with pytest.raises(TypeError, match="unexpected keyword arguments.*gamma"):
        methods.mean_teacher(student, distillation_losses=terms, gamma=1.0)
    with pytest.raises((TypeError, ValueError), match="gama"):
        methods.mean_teacher(student, gama=1.0)
