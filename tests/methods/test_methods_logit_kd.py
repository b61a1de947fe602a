"""KD as one call."""

import pytest

from keras_hkd import classifiers
from keras_hkd.methods import kd


def test_options_go_to_the_loss_and_the_weights():
    teacher, student = (
        classifiers.build("cnn_micro", class_names="ab", seed=seed) for seed in (1, 2)
    )
    distiller = kd(teacher, student, weight=2.0, student_loss_weight=0.5, temperature=5.0)
    assert distiller.term_names == ("logits",)
    assert [float(weight) for weight in distiller.term_weights()] == [0.5, 2.0]
    assert distiller.distillation_losses[0].loss.temperature == 5.0
    with pytest.raises(TypeError, match="keyword argument"):
        kd(teacher, student, temperatur=5.0)
