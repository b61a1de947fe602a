"""What all hierarchies share: names, losses, projections."""

import keras
import numpy as np
import pytest

from keras_hkd.hierarchies import Hierarchy, KerasLoss, Pyramid
from keras_hkd.hierarchies.alignment import projection
from keras_hkd.losses import FeatureImitation


def test_a_loss_that_cannot_be_called_is_refused():
    with pytest.raises(
        TypeError, match="Pyramid expects a loss that is called as.*Received: 'mse'"
    ):
        Pyramid("mse")


def test_any_function_is_a_loss(family, step_of):
    def one(teacher, student, *, mask=None):
        return keras.ops.mean(student) * 0 + 1.0

    hierarchy = Pyramid(one)
    hierarchy.attach(family(), family())
    assert float(hierarchy.compute(step_of(family(), family()))) == 1.0


def test_names():
    assert Pyramid(FeatureImitation()).name == "pyramid"
    assert Pyramid(FeatureImitation(), name="fine").name == "fine"


def test_the_base_class_computes_nothing(step_of, family):
    with pytest.raises(NotImplementedError, match="must implement `compute`"):
        Hierarchy(FeatureImitation()).compute(step_of(family(), family()))


def test_a_projection_is_a_1x1_convolution():
    layer = projection(3, 5, "p")
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype("float32")
    convolution = keras.layers.Conv2D(5, 1)
    convolution.build(x.shape)
    convolution.kernel.assign(layer.kernel[None, None])
    np.testing.assert_allclose(layer(x), convolution(x), atol=1e-6)


def test_keras_loss_refuses_what_is_none():
    with pytest.raises(TypeError, match="expects a keras.distillation.DistillationLoss"):
        KerasLoss(FeatureImitation())


def test_keras_loss_compares_class_logits(family, step_of):
    teacher, student = family(), family()
    hierarchy = KerasLoss(keras.distillation.LogitsDistillation(temperature=2.0, loss="mse"))
    hierarchy.attach(teacher, student)
    step = step_of(teacher, student)
    a, b = (o["class_logits"] for o in (step.teacher_outputs, step.student_outputs))
    assert float(hierarchy.compute(step)) == pytest.approx(np.square(a - b).mean() / 4, rel=1e-5)


def test_keras_loss_reads_layers_by_name_and_says_when_widths_differ(family, step_of):
    teacher, student = family(), family()
    tapped = []
    teacher.tap = student.tap = tapped.append
    hierarchy = KerasLoss(
        keras.distillation.FeatureDistillation(teacher_layer_name="a", student_layer_name="b")
    )
    hierarchy.attach(teacher, student)
    assert tapped == ["a", "b"]
    step = step_of(teacher, student)
    step.teacher_outputs["taps"] = {"a": np.ones((2, 3, 3, 5), "float32")}
    step.student_outputs["taps"] = {"b": np.zeros((2, 3, 3, 5), "float32")}
    assert float(hierarchy.compute(step)) == 1.0
    step.student_outputs["taps"] = {"b": np.zeros((2, 3, 3, 4), "float32")}
    with pytest.raises(ValueError, match="tensors of one shape.*project"):
        hierarchy.compute(step)


def test_keras_loss_config_round_trip():
    hierarchy = KerasLoss(keras.distillation.LogitsDistillation(temperature=2.0, loss="mse"))
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(hierarchy))
    assert isinstance(again, KerasLoss)
    assert again.keras_loss.temperature == 2.0
