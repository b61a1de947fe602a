"""MaskedGenerative: what is hidden, what learns, and what a run remembers."""

import numpy as np
import pytest
from scipy import signal

from keras_hkd.losses import MaskedGenerative


def convolve(features, layer):
    """Same-padded 3x3 convolution of one image (h, w, c), written with SciPy."""
    kernel, bias = layer.kernel.numpy().astype("f8"), layer.bias.numpy()
    planes = []
    for out in range(kernel.shape[-1]):
        parts = [
            signal.correlate2d(features[..., c], kernel[..., c, out], mode="same")
            for c in range(kernel.shape[2])
        ]
        planes.append(sum(parts) + bias[out])
    return np.stack(planes, -1)


def test_value_with_nothing_hidden(random):
    teacher, student = random(2, 5, 6, 3), random(2, 5, 6, 3)
    loss = MaskedGenerative(hidden_fraction=0.0)
    value = float(loss(teacher, student))
    generator = loss.layers["generator"]
    expected = 0.0
    for t, s in zip(teacher.astype("f8"), student.astype("f8"), strict=True):
        made = convolve(np.maximum(convolve(s, generator.first), 0), generator.second)
        expected += ((t - made) ** 2).sum() / 2
    assert value == pytest.approx(expected, rel=1e-4)


def test_whole_cells_are_hidden_at_the_rate_asked_for():
    tf = pytest.importorskip("tensorflow")
    student = tf.ones((4, 40, 40, 3))
    loss = MaskedGenerative(hidden_fraction=0.65)
    with tf.GradientTape() as tape:
        tape.watch(student)
        value = loss(2 * student, student)
    read = np.abs(tape.gradient(value, student).numpy()) > 0
    assert np.all(read.any(-1) == read.all(-1))
    assert read.mean() == pytest.approx(0.35, abs=0.03)


def test_hidden_cells_change_in_training_and_not_in_evaluation(random):
    teacher, student = random(1, 8, 8, 2), random(1, 8, 8, 2)
    loss = MaskedGenerative(seed=3)
    loss.build(2, 2)
    states = [loss.layers["generator"].random.state.numpy()]
    evaluated = {float(loss(teacher, student, training=False)) for _ in range(3)}
    states.append(loss.layers["generator"].random.state.numpy())
    assert len(evaluated) == 1 and np.array_equal(*states)
    assert len({float(loss(teacher, student, training=True)) for _ in range(3)}) == 3


def test_a_saved_generator_continues_its_sequence(random, tmp_path):
    keras = pytest.importorskip("keras")
    teacher, student = random(1, 8, 8, 2), random(1, 8, 8, 2)
    loss, resumed = MaskedGenerative(), MaskedGenerative()
    for one in (loss, resumed):
        one.build(2, 2)
    loss(teacher, student)
    models = [
        keras.Sequential([keras.Input((8, 8, 2)), x.layers["generator"]]) for x in (loss, resumed)
    ]
    models[0].save_weights(tmp_path / "generator.weights.h5")
    models[1].load_weights(tmp_path / "generator.weights.h5")
    assert float(resumed(teacher, student)) == float(loss(teacher, student))


def test_a_refused_call_leaves_no_layers_behind(random):
    loss = MaskedGenerative()
    with pytest.raises(ValueError, match="axis 3 differs"):
        loss(random(1, 4, 4, 8), random(1, 4, 4, 4))
    assert loss.layers == {}
    loss(random(1, 4, 4, 4), random(1, 4, 4, 4))


@pytest.mark.parametrize("seed", [None, 1.5, True])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(TypeError, match="`seed` must be a whole number"):
        MaskedGenerative(seed=seed)


def test_it_learns_to_restore_a_copy(random):
    tf = pytest.importorskip("tensorflow")
    teacher = np.tile(random(1, 1, 1, 3), (2, 6, 6, 1))
    loss = MaskedGenerative(hidden_fraction=0.3)
    first = float(loss(teacher, teacher, training=False))
    for _ in range(40):
        with tf.GradientTape() as tape:
            value = loss(teacher, teacher, training=True)
        for variable, slope in zip(
            loss.trainable_variables,
            tape.gradient(value, [v.value for v in loss.trainable_variables]),
            strict=True,
        ):
            variable.assign_sub(2e-3 * slope / (1 + tf.norm(slope) * 2e-3))
    assert float(loss(teacher, teacher, training=False)) < 0.5 * first


@pytest.mark.parametrize("fraction", [1.0, -0.1, 1.5])
def test_fractions_that_leave_nothing_are_refused(fraction):
    with pytest.raises(ValueError, match="`hidden_fraction` must be"):
        MaskedGenerative(hidden_fraction=fraction)
