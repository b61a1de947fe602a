"""The student's moving average as its teacher: how it moves, who moves it, that it is kept."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_hkd.detectors import build
from keras_hkd.distillation import MeanTeacher
from keras_hkd.distillation.ema_teacher import moving_average
from keras_hkd.hierarchies import ClassLogits
from keras_hkd.losses import AdaptiveDistillation
from keras_hkd.training import Checkpoint, TrainingSettings
from keras_hkd.training.checkpoint import state_of, write_state
from keras_hkd.training.identity import run_identity

SIZE = (64, 64)


def make(seed=0, learning_rate=1e-2, **options):
    student = build("yolo_v8_micro", image_size=SIZE, seed=seed)
    term = ClassLogits(AdaptiveDistillation(form="paper"))
    distiller = MeanTeacher(student, term, **options)
    distiller.compile(optimizer=keras.optimizers.SGD(learning_rate), run_eagerly=True)
    return distiller


@pytest.fixture(scope="module")
def distiller():
    return make()


def values(weights):
    return [keras.ops.convert_to_numpy(weight).copy() for weight in weights]


def assert_same(left, right):
    for a, b in zip(left, right, strict=True):
        np.testing.assert_array_equal(a, b)


def test_it_begins_as_a_copy_that_never_trains(distiller):
    assert_same(values(distiller.teacher.weights), values(distiller.student.weights))
    ours = {id(variable) for variable in distiller.student.weights}
    assert not ours & {id(variable) for variable in distiller.teacher.weights}
    trained = {id(variable) for variable in distiller.trainable_variables}
    assert not trained & {id(variable) for variable in distiller.teacher.weights}


@pytest.mark.parametrize("momentum", [0.0, 0.25, 1.0])
def test_weights_are_averaged_and_statistics_taken_over(distiller, momentum):
    distiller.momentum, distiller.ramp = momentum, False
    generator = np.random.default_rng(1)
    for variable in distiller.student.weights:
        variable.assign(generator.uniform(0.1, 1, variable.shape))
    old, new = values(distiller.teacher.weights), values(distiller.student.weights)
    distiller.update_teacher()
    after = values(distiller.teacher.weights)
    paths = [variable.path for variable in distiller.teacher.weights]
    assert sum("moving_variance" in path for path in paths) > 20
    for a, b, found, path in zip(old, new, after, paths, strict=True):
        kept = momentum if "moving" not in path or momentum == 1 else 0.0
        np.testing.assert_allclose(found, kept * a + (1 - kept) * b, rtol=1e-6)
    assert_same(values(distiller.student.weights), new)
    if momentum in (0.0, 1.0):
        assert_same(after, new if momentum == 0 else old)


def test_the_ramp_makes_it_the_mean_of_all_students_at_first(distiller):
    distiller.momentum, distiller.ramp = 0.9, True
    ramp = [float(distiller.momentum_at(step)) for step in (0, 1, 3, 9, 99)]
    np.testing.assert_allclose(ramp, [0, 0.5, 0.75, 0.9, 0.9], rtol=1e-6)
    teacher = keras.Variable(7.0)
    for step, student in enumerate([1.0, 4.0, 10.0]):
        momentum = distiller.momentum_at(step)
        teacher.assign(moving_average(teacher, keras.Variable(student), momentum))
    assert float(teacher) == pytest.approx(5.0)


def test_a_step_moves_the_teacher_and_evaluation_does_not(batch):
    distiller = make(momentum=0.5, ramp=False)
    start = values(distiller.teacher.weights)
    distiller.train_on_batch(*batch)
    statistics = [i for i, v in enumerate(distiller.student.weights) if "moving_mean" in v.path]
    # The forward pass moved the statistics before the loss was computed; gradients came after it.
    after, student = values(distiller.teacher.weights), values(distiller.student.weights)
    for index in range(len(after)):
        path = distiller.student.weights[index].path
        if "moving" in path:
            np.testing.assert_array_equal(after[index], student[index])
        else:
            np.testing.assert_array_equal(after[index], start[index])
    assert any(np.abs(after[i] - start[i]).max() > 0 for i in statistics)
    distiller.train_on_batch(*batch)  # now the trained weights follow
    moved = values(distiller.teacher.weights)
    assert any(not np.array_equal(a, b) for a, b in zip(moved, start, strict=True))
    distiller.test_on_batch(*batch)
    assert_same(values(distiller.teacher.weights), moved)


def test_no_gradient_reaches_the_teacher(batch):
    distiller = make(momentum=0.5, ramp=False)
    images, labels = batch
    teacher = [variable.value for variable in distiller.teacher.weights]
    with tf.GradientTape() as tape:
        tape.watch(teacher)
        loss = distiller.compute_loss(images, labels, distiller(images, training=True))
    gradients = tape.gradient(loss, teacher, unconnected_gradients="none")
    assert all(gradient is None for gradient in gradients)


@pytest.mark.long
def test_a_checkpoint_holds_the_teacher_and_a_resumed_run_goes_on_exactly(batch, tmp_path):
    whole, resumed = make(seed=1), make(seed=2)
    for _ in range(2):
        whole.train_on_batch(*batch)
    assert any(
        not np.array_equal(a, b)
        for a, b in zip(whole.teacher.get_weights(), whole.student.get_weights(), strict=True)
    )
    settings = TrainingSettings(epochs=1, image_size=SIZE)

    class Data:
        content_hash = "0"

    identities = [run_identity(one, Data, settings) for one in (whole, resumed)]
    assert identities[0] == identities[1]
    assert identities[0]["distillation"]["momentum"] == whole.momentum
    write_state(tmp_path / "epoch_0001.npz", state_of(whole, 1, {}, identities[0]))
    resumed.optimizer.build(resumed.trainable_variables)
    checkpoint = Checkpoint(tmp_path, identity=identities[1], history={})
    assert checkpoint.restore(resumed) == 1
    for _ in range(2):
        assert_same(values(resumed.teacher.weights), values(whole.teacher.weights))
        assert_same(values(resumed.student.weights), values(whole.student.weights))
        whole.train_on_batch(*batch)
        resumed.train_on_batch(*batch)


def test_weights_and_config_round_trip(batch, tmp_path):
    made = make(momentum=0.75, distillation_loss_weights=0.5)
    made.train_on_batch(*batch)
    made.save_weights(tmp_path / "run.weights.h5")
    again = MeanTeacher.from_config(made.get_config())
    assert (again.momentum, again.ramp, again.term_names) == (0.75, True, ("class_logits",))
    again.compile(optimizer=keras.optimizers.SGD(1e-2))
    again.load_weights(tmp_path / "run.weights.h5")
    assert_same(values(again.teacher.weights), values(made.teacher.weights))


def test_bad_momentum_is_refused():
    with pytest.raises(ValueError, match="momentum"):
        make(momentum=1.5)
