"""HSAKD's two terms, against NumPy."""

import types

import keras
import numpy as np
import pytest

from keras_hkd.hierarchies import Branches, RotatedLogits
from keras_hkd.losses import LogitDistillation

NUM_CLASSES, BATCH, LEVELS = 3, 2, ("C3", "C4")
GENERATOR = np.random.default_rng(0)


def outputs():
    def logits(classes):
        return GENERATOR.normal(0, 3, (4 * BATCH, classes)).astype("float32")

    return {
        "rotated_logits": logits(NUM_CLASSES),
        "branch_logits": {level: logits(4 * NUM_CLASSES) for level in LEVELS},
    }


def model(levels=LEVELS, names=("a", "b", "c"), branches=True):
    branches = dict.fromkeys(levels) if branches else None
    return types.SimpleNamespace(name="m", levels=levels, class_names=names, branches=branches)


def divergence(teacher, student, temperature):
    """`t^2 KL`, summed over classes, averaged over the rotated samples."""
    q, p = (
        np.exp(x / temperature) / np.exp(x / temperature).sum(axis=-1, keepdims=True)
        for x in (teacher.astype(np.float64), student.astype(np.float64))
    )
    return temperature**2 * (q * np.log(q / p)).sum() / len(q)


def step(teacher, student):
    return types.SimpleNamespace(teacher_outputs=teacher, student_outputs=student, compared=None)


def attached(kind, temperature=3.0):
    hierarchy = kind(LogitDistillation(temperature=temperature))
    hierarchy.attach(model(), model())
    return hierarchy


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_numbers(temperature):
    teacher, student = outputs(), outputs()
    wanted = divergence(teacher["rotated_logits"], student["rotated_logits"], temperature)
    found = attached(RotatedLogits, temperature).compute(step(teacher, student))
    assert float(found) == pytest.approx(wanted, rel=1e-5)
    wanted = sum(
        divergence(teacher["branch_logits"][level], student["branch_logits"][level], temperature)
        for level in LEVELS
    )
    found = attached(Branches, temperature).compute(step(teacher, student))
    assert float(found) == pytest.approx(wanted, rel=1e-5)


def gradient(hierarchy, teacher, student):
    import tensorflow as tf

    student = keras.tree.map_structure(tf.constant, student)
    with tf.GradientTape() as tape:
        tape.watch(keras.tree.flatten(student))
        value = hierarchy.compute(step(teacher, student))
    found = [g for g in tape.gradient(value, keras.tree.flatten(student)) if g is not None]
    return float(value), np.concatenate([np.ravel(g) for g in found])


@pytest.mark.parametrize("kind", [Branches, RotatedLogits])
def test_a_copy_has_loss_and_gradient_zero(kind):
    teacher = outputs()
    value, slope = gradient(attached(kind), teacher, teacher)
    assert value == pytest.approx(0.0, abs=1e-6)
    np.testing.assert_allclose(slope, 0.0, atol=1e-6)


@pytest.mark.parametrize("kind", [Branches, RotatedLogits])
def test_the_temperature_hardly_changes_the_size_of_the_gradient(kind):
    """Where logits are small beside t: there t^2 KL is half the variance of their difference."""
    small = [keras.tree.map_structure(lambda x: 0.1 * x, outputs()) for _ in range(2)]
    sizes = [np.linalg.norm(gradient(attached(kind, t), *small)[1]) for t in (1.0, 3.0, 10.0)]
    np.testing.assert_allclose(sizes, sizes[0], rtol=0.15)


def test_branches_are_compared_at_common_stages_one_to_one():
    hierarchy = Branches(LogitDistillation())
    hierarchy.attach(model(("C2", "C3", "C4")), model(("C3", "C4", "C5")))
    assert hierarchy.attached_levels == ["C3", "C4"]
    with pytest.raises(ValueError, match="Branches cannot read levels in common"):
        Branches(LogitDistillation()).attach(model(("C2",)), model(("C5",)))
    assert Branches.from_config(Branches(LogitDistillation(), levels=["C3"]).get_config()).levels


@pytest.mark.parametrize("kind", [Branches, RotatedLogits])
def test_pairs_that_cannot_be_compared_are_refused(kind):
    with pytest.raises(ValueError, match="a plain one as student"):
        kind(LogitDistillation()).attach(model(), model(branches=False))
    with pytest.raises(ValueError, match="the same classes in the same order"):
        kind(LogitDistillation()).attach(model(), model(names=("a", "c", "b")))
