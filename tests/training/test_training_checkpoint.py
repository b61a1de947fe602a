import os
import struct
import zipfile

import keras
import numpy as np
import pytest

from keras_hkd.training import Checkpoint, TrainingSettings, build_optimizer
from keras_hkd.training.checkpoint import checkpoint_variables, list_checkpoints, read_state
from keras_hkd.training.identity import DifferentRunError

IDENTITY = {"settings": {"seed": 1}, "teacher_hash": "ab"}
IMAGES = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
TARGETS = IMAGES[:, :2] * 2 - 1


@keras.saving.register_keras_serializable(package="test")
class Pair(keras.Model):
    """Quacks like a Distiller: a tracked teacher, a student, and a projection of its own."""

    def __init__(self, units=3):
        super().__init__()
        self.teacher = keras.Sequential([keras.Input((4,)), keras.layers.Dense(7)])
        self.teacher.trainable = False
        self.student = keras.Sequential(
            [
                keras.Input((4,)),
                keras.layers.Dense(units),
                keras.layers.BatchNormalization(),
                keras.layers.Dropout(0.5),
            ]
        )
        self.projection = keras.layers.Dense(2)
        self.projection.build((None, units))
        self.built = True

    def call(self, x, training=False):
        return self.projection(self.student(x, training=training))


def make(units=3, seed=0, reset_names=True):
    if reset_names:  # as in a process of its own
        keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    model = Pair(units)
    model.compile(build_optimizer(TrainingSettings(epochs=6), 4), "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def fit(model, folder, epochs, first_epoch=0, **options):
    history = {"loss": [float(epoch) for epoch in range(first_epoch)]}
    checkpoint = Checkpoint(folder, identity=IDENTITY, history=history, **options)
    model.fit(
        IMAGES,
        TARGETS,
        batch_size=2,
        shuffle=False,
        epochs=epochs,
        initial_epoch=first_epoch,
        verbose=0,
        callbacks=[checkpoint],
    )
    return checkpoint


def saved(folder, *epochs):
    """Write checkpoints of an untrained model, one for each number of epochs."""
    model = make()
    checkpoint = Checkpoint(folder, identity=IDENTITY, history={})
    checkpoint.set_model(model)
    for epoch in epochs:
        model.projection.bias.assign([float(epoch), 0.0])
        checkpoint.save(epoch)
    return model


def state(model):
    """Everything that the next step depends on, without the teacher."""
    variables = [*checkpoint_variables(model), *model.optimizer.variables]
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


def assert_same_state(a, b):
    for x, y in zip(state(a), state(b), strict=True):
        np.testing.assert_array_equal(x, y)


def restored(folder, model):
    checkpoint = Checkpoint(folder, identity=IDENTITY, history={})
    return checkpoint.restore(model)


def test_holds_student_projection_optimizer_and_never_the_teacher(tmp_path):
    model = saved(tmp_path, 1)
    names = read_state(tmp_path / "epoch_0001.npz").facts["names"]
    hidden = {variable.path for variable in model.teacher.variables}
    assert hidden and not hidden & set(names)
    for variable in [*model.student.variables, *model.projection.variables]:
        assert variable.path in names
    for part in ("iteration", "_momentum", "_velocity", "_average", "seed_generator_state"):
        assert any(part in name for name in names), part


def test_the_model_may_name_its_own_variables():
    model = make()
    model.checkpoint_variables = model.projection.variables
    assert checkpoint_variables(model) == model.projection.variables


def test_resuming_gives_the_bits_of_an_uninterrupted_run(tmp_path):
    whole, broken = make(), make()
    fit(whole, tmp_path / "whole", 4)
    fit(broken, tmp_path / "broken", 2)
    resumed = make(seed=9)
    resumed.teacher.set_weights(whole.teacher.get_weights())
    assert restored(tmp_path / "broken", resumed) == 2
    fit(resumed, tmp_path / "broken", 4, first_epoch=2)
    assert_same_state(whole, resumed)


def test_history_comes_back(tmp_path):
    history = {"loss": [3.0, float("nan")], "val_AP": [None, 0.5]}
    checkpoint = Checkpoint(tmp_path, identity=IDENTITY, history=history)
    checkpoint.set_model(make())
    checkpoint.save(2)
    history_again = {"stale": [1.0]}
    Checkpoint(tmp_path, identity=IDENTITY, history=history_again).restore(make())
    assert history_again == {"loss": [3.0, None], "val_AP": [None, 0.5]}


def test_keeps_the_last_two(tmp_path):
    saved(tmp_path, 1, 2, 3, 4)
    assert sorted(os.listdir(tmp_path)) == ["epoch_0003.npz", "epoch_0004.npz"]
    with pytest.raises(ValueError, match="keep >= 2.*keep=1"):
        Checkpoint(tmp_path, identity={}, history={}, keep=1)


def test_numbers_order_the_files_not_letters(tmp_path):
    for name in ("epoch_9999.npz", "epoch_10000.npz", "epoch_0007.npz", "epoch_x.npz", "z.npz"):
        (tmp_path / name).write_bytes(b"")
    names = [path.name for path in list_checkpoints(tmp_path)]
    assert names == ["epoch_10000.npz", "epoch_9999.npz", "epoch_0007.npz"]


def test_an_empty_folder_begins_at_the_beginning(tmp_path):
    model = make()
    before = state(model)
    assert restored(tmp_path / "absent", model) == 0
    for now, then in zip(state(model), before, strict=True):
        np.testing.assert_array_equal(now, then)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-200])


def empty(path):
    path.write_bytes(b"")


def flip_a_bit_of_a_weight(path):
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as file:
        member = file.getinfo("00000.npy")
    name_length, extra_length = struct.unpack_from("<HH", data, member.header_offset + 26)
    end = member.header_offset + 30 + name_length + extra_length + member.file_size
    data[end - 2] ^= 1
    path.write_bytes(bytes(data))


def hold_something_else(path):
    np.savez(path, other=np.ones(3))


DAMAGES = [truncate, empty, flip_a_bit_of_a_weight, hold_something_else]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_last_file_is_reported_and_the_one_before_taken(tmp_path, damage):
    saved(tmp_path, 1, 2)
    damage(tmp_path / "epoch_0002.npz")
    model = make(seed=5)
    with pytest.warns(RuntimeWarning, match="epoch_0002.npz is damaged.*from epoch_0001.npz"):
        assert restored(tmp_path, model) == 1
    np.testing.assert_array_equal(model.projection.bias, [1.0, 0.0])


def test_nothing_whole_is_an_error_and_no_silent_new_beginning(tmp_path):
    saved(tmp_path, 1, 2)
    for path in list_checkpoints(tmp_path):
        truncate(path)
    model = make()
    before = state(model)
    with pytest.warns(RuntimeWarning), pytest.raises(ValueError, match="All checkpoints"):
        restored(tmp_path, model)
    for now, then in zip(state(model), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_partial_files_are_never_read(tmp_path):
    saved(tmp_path, 1)
    partial = tmp_path / ".epoch_0002.partial-77.npz"
    partial.write_bytes((tmp_path / "epoch_0001.npz").read_bytes()[:500])
    assert restored(tmp_path, make()) == 1
    assert not partial.exists()


@pytest.mark.parametrize(
    ("identity", "difference"),
    [
        ({**IDENTITY, "teacher_hash": "cd"}, "teacher_hash was 'ab' and is now 'cd'"),
        ({**IDENTITY, "settings": {"seed": 2}}, "settings.seed was 1 and is now 2"),
    ],
)
def test_refuses_another_run(tmp_path, identity, difference):
    saved(tmp_path, 1)
    model = make()
    before = state(model)
    with pytest.raises(DifferentRunError, match=difference):
        Checkpoint(tmp_path, identity=identity, history={}).restore(model)
    for now, then in zip(state(model), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_refuses_another_student(tmp_path):
    saved(tmp_path, 1)
    with pytest.raises(DifferentRunError, match=r"shape \(4, 3\).*shape \(4, 5\).*student"):
        restored(tmp_path, make(units=5))
    model = make()
    model.compile("sgd", "mse")
    model.optimizer.build(model.trainable_variables)
    with pytest.raises(DifferentRunError, match="variables.*student"):
        restored(tmp_path, model)


def test_names_that_differ_only_by_building_order_are_the_same(tmp_path):
    saved(tmp_path, 1)
    assert restored(tmp_path, make(reset_names=False)) == 1


def test_a_checkpoint_of_a_later_format_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_hkd.training.checkpoint._FORMAT_VERSION", 99)
    saved(tmp_path, 1)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="format 99"):
        read_state(tmp_path / "epoch_0001.npz")
