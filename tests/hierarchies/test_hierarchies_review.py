"""Review: fusion from coarse to fine against NumPy, and what it trains."""

import keras
import numpy as np
import pytest

from keras_hkd.hierarchies import Review
from keras_hkd.losses import FeatureImitation

SCALE = 1 / np.sqrt(1 + 1e-5)  # batch normalisation that has seen nothing


def attached(teacher, student, loss=None, **options):
    hierarchy = Review(loss, **options)
    hierarchy.attach(teacher, student)
    return hierarchy


def as_identity(hierarchy, attention_bias):
    """Fusions whose convolutions change nothing."""
    for fusion in hierarchy.fusions.values():
        fusion.reduce.kernel.assign(np.eye(4, dtype="f4")[None, None])
        center = np.zeros((3, 3, 4, 4), "f4")
        center[1, 1] = np.eye(4)
        fusion.expand.kernel.assign(center)
        if hasattr(fusion, "attention"):
            fusion.attention.kernel.assign(0 * fusion.attention.kernel)
            fusion.attention.bias.assign(attention_bias)


def test_value(family, step_of):
    teacher, student = family(), family()
    step = step_of(teacher, student)
    step.training = False
    hierarchy = attached(teacher, student, FeatureImitation())
    a, b = 0.7, 0.2
    as_identity(hierarchy, [np.log(x / (1 - x)) for x in (a, b)])
    expected, handed_on = 0.0, None
    for level in ("P5", "P4", "P3"):
        x = step.student_outputs["pyramid"][level].astype("f8") * SCALE
        if handed_on is not None:
            x = a * x + b * handed_on.repeat(2, axis=1).repeat(2, axis=2)
        handed_on = x
        expected += np.mean((x * SCALE - step.teacher_outputs["pyramid"][level]) ** 2)
    assert float(hierarchy.compute(step)) == pytest.approx(expected, rel=1e-5)


def test_a_fine_level_can_be_told_by_the_coarse_ones_alone(family, step_of):
    teacher, student = family(), family()
    hierarchy = attached(teacher, student, FeatureImitation())
    values = []
    for bias in ([-60.0, 60.0], [60.0, -60.0]):
        as_identity(hierarchy, bias)
        for shift in (0.0, 1.0):
            step = step_of(teacher, student)
            step.training = False
            step.student_outputs["pyramid"]["P3"] += shift
            values.append(float(hierarchy.compute(step)))
    assert values[0] == pytest.approx(values[1], rel=1e-6)
    assert values[2] != pytest.approx(values[3], rel=1e-2)


def test_gradient_reaches_every_level_and_every_fusion(family, step_of):
    tf = pytest.importorskip("tensorflow")
    teacher, student = family(width=6), family(width=4)
    hierarchy = attached(teacher, student, mid_channels=5)
    step = step_of(teacher, student)
    step.training = True
    maps = {k: tf.constant(v) for k, v in step.student_outputs["pyramid"].items()}
    step.student_outputs["pyramid"] = maps
    with tf.GradientTape() as tape:
        tape.watch(maps)
        value = hierarchy.compute(step)
    variables = [v.value for v in hierarchy.trainable_variables]
    slopes = tape.gradient(value, [maps, variables])
    assert all(np.abs(slope.numpy()).max() > 0 for slope in slopes[0].values())
    assert all(slope is not None for slope in slopes[1])
    assert len(variables) == 3 * 6 + 2 * 2  # two kernels and two norms, and two attentions


def test_evaluation_changes_nothing_and_training_the_statistics(family, step_of):
    teacher, student = family(), family()
    hierarchy = attached(teacher, student)
    step = step_of(teacher, student)
    for training in (False, True):
        before = [v.numpy() for v in hierarchy.variables]
        step.training = training
        hierarchy.compute(step)
        same = all(
            np.array_equal(v, w.numpy()) for v, w in zip(before, hierarchy.variables, strict=True)
        )
        assert same is not training


def test_config_round_trip(family, step_of):
    hierarchy = Review(FeatureImitation(), levels=("P3", "P5"), mid_channels=7, name="again")
    config = keras.saving.serialize_keras_object(hierarchy)
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == hierarchy.get_config()
    with pytest.raises(ValueError, match="cannot read levels"):
        Review(levels=("P7",)).attach(family(), family())
    with pytest.raises(ValueError, match="`mid_channels` must be .* at least 1"):
        Review(mid_channels=0)
