"""The bank of a teacher's logits, and KD from another image of the same class."""

import types

import keras
import numpy as np
import pytest
from keras import ops

from keras_hkd.classifiers.classifier import ClassAssignment
from keras_hkd.losses import LogitDistillation
from keras_hkd.methods.lw_kd.class_bank import ClassBank
from keras_hkd.methods.lw_kd.drawn_logits import DrawnLogits

LOGITS = np.random.default_rng(0).normal(size=(3, 7, 3)).astype("float32")
STUDENT = np.random.default_rng(1).normal(size=(5, 3)).astype("float32")
CLASSES = np.array([2, 0, 1, 1, -1], "int32")


def step_of(logits=STUDENT, training=False):
    assignment = ClassAssignment(ops.array(CLASSES), ops.array(CLASSES) >= 0, None)
    return types.SimpleNamespace(
        student_outputs={"logits": ops.array(logits)}, assignment=assignment, training=training
    )


def softmax(x):
    exponentials = np.exp(x - x.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def is_row_of(bank, row, of_class):
    return any(np.array_equal(row, instance) for instance in bank[of_class])


def test_a_draw_is_an_instance_of_the_class():
    bank = ClassBank(LOGITS, seed=3)
    seen = set()
    for _ in range(30):
        drawn = ops.convert_to_numpy(bank.draw(ops.array([1, 1, 2]), training=True))
        assert is_row_of(LOGITS, drawn[0], 1) and is_row_of(LOGITS, drawn[2], 2)
        seen |= {tuple(row) for row in drawn[:2]}
    assert len(seen) == 7  # sooner or later each of them


def test_draws_follow_from_the_seed_and_go_on_where_they_stopped():
    classes = ops.array(np.zeros(4, "int32"))
    a, b = ClassBank(LOGITS, seed=3), ClassBank(LOGITS, seed=3)
    draws = [ops.convert_to_numpy(a.draw(classes, training=True)) for _ in range(4)]
    b.draw(classes, training=True)
    np.testing.assert_array_equal(b.draw(classes, training=True), draws[1])
    resumed = ClassBank(np.zeros_like(LOGITS), seed=8)
    for variable, value in zip(resumed.variables, b.variables, strict=True):
        variable.assign(value)
    np.testing.assert_array_equal(resumed.draw(classes, training=True), draws[2])
    assert not a.trainable_variables


def test_outside_training_the_draw_is_always_the_same():
    bank = ClassBank(LOGITS)
    state = bank.generator.state.numpy()
    first = ops.convert_to_numpy(bank.draw(ops.array(CLASSES)))
    np.testing.assert_array_equal(bank.draw(ops.array(CLASSES)), first)
    np.testing.assert_array_equal(bank.generator.state.numpy(), state)


def test_the_term_is_the_divergence_from_what_was_drawn():
    hierarchy = DrawnLogits(ClassBank(LOGITS))
    drawn = np.stack([LOGITS[c, i] for i, c in enumerate(CLASSES[:4])])
    q, p = softmax(drawn / 4), softmax(STUDENT[:4] / 4)
    wanted = 16 * (q * np.log(q / p)).sum(-1).mean()
    assert float(hierarchy.compute(step_of())) == pytest.approx(wanted, rel=1e-5)


def test_one_instance_per_class_is_label_smoothing_by_class():
    """beta = 0 and q its class mean: the gradient is that of cross-entropy with soft labels."""
    import tensorflow as tf

    smooth = np.array([[0.8, 0.15, 0.05], [0.1, 0.7, 0.2], [0.05, 0.05, 0.9]], "float32")
    bank = ClassBank(np.log(smooth)[:, None])
    hierarchy = DrawnLogits(bank, LogitDistillation(temperature=1.0))
    logits, step = tf.constant(STUDENT), step_of(training=True)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        step.student_outputs = {"logits": logits}
        loss = hierarchy.compute(step)
    wanted = (softmax(STUDENT) - smooth[CLASSES]) / 4
    wanted[CLASSES < 0] = 0
    np.testing.assert_allclose(tape.gradient(loss, logits), wanted, atol=1e-6)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="shape"):
        ClassBank(LOGITS[:2])
    with pytest.raises(ValueError, match="as many classes"):
        DrawnLogits(ClassBank(LOGITS)).attach(None, types.SimpleNamespace(num_classes=4))
    with pytest.raises(TypeError, match="ClassBank"):
        DrawnLogits(LOGITS).attach(None, types.SimpleNamespace(num_classes=3))


def test_config_round_trip():
    hierarchy = DrawnLogits(ClassBank(LOGITS, seed=4), LogitDistillation(temperature=2.0))
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(hierarchy))
    np.testing.assert_array_equal(again.bank.logits.numpy(), LOGITS)
    assert (again.bank.seed, again.loss.temperature) == (4, 2.0)
