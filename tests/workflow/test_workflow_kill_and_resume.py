"""Runs in processes of their own that are really killed, SIGKILL, at moments nobody chose."""

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from keras_hkd.training.checkpoint import list_checkpoints, read_state

EPOCHS = 40
SCRIPT = """
import sys

import numpy as np

import keras_hkd.training as training

settings = training.TrainingSettings(
    epochs=int(sys.argv[2]), batch_size=2, image_size=(32, 32), seed=3, deterministic=True
)
training.enable_determinism()

import keras

from keras_hkd.atomic_write import replacing
from keras_hkd.data import Dataset, ImageAnnotation


class Scenes(Dataset):
    def load_image(self, index):
        return np.random.default_rng(index).integers(0, 255, (32, 32, 3)).astype(np.uint8)


class Student(keras.Model):
    # Large enough that writing its checkpoints takes a good part of the run.
    def __init__(self):
        super().__init__()
        self.stack = keras.Sequential(
            [
                keras.Input((32, 32, 3)),
                keras.layers.Conv2D(8, 3, strides=4),
                keras.layers.BatchNormalization(),
                keras.layers.Flatten(),
                keras.layers.Dense(1000, activation="relu"),
                keras.layers.Dropout(0.2),
                keras.layers.Dense(4),
            ]
        )
        self.built = True

    def call(self, x, training=False):
        return self.stack(x, training=training)

    def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
        return keras.ops.mean(keras.ops.square(y_pred - y["boxes"][:, 0] / 32))


boxes = [[4.0, 4.0, 12.0, 28.0]]
scenes = Scenes([ImageAnnotation("", n, 32, 32, boxes, [0]) for n in range(4)], ("person",), "", "")
with training.training_scope(settings):
    student = Student()
print("built", flush=True)
training.train_model(student, scenes, settings, sys.argv[1], resume=True)
with replacing(sys.argv[1] + "/weights.npz") as partial:
    np.savez(partial, *[keras.ops.convert_to_numpy(weight) for weight in student.weights])
"""


def start(folder):
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0"}
    with open(folder.parent / f"{folder.name}.log", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(folder), str(EPOCHS)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    return process


def wait(process, folder):
    process.communicate(timeout=600)
    log = (folder.parent / f"{folder.name}.log").read_text(errors="replace")
    assert process.returncode == 0, log[-4000:]


def newest_epoch(folder):
    files = list_checkpoints(folder / "checkpoints")
    return int(files[0].stem.removeprefix("epoch_")) if files else 0


def kill_at(process, folder, reached):
    """Send SIGKILL as soon as `reached()`; the number of finished epochs that stand on the disk."""
    assert process.stdout.readline() == b"built\n"
    while process.poll() is None and not reached():
        time.sleep(0.0005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "the run ended before it could be killed"
    for path in list_checkpoints(folder / "checkpoints"):
        read_state(path)  # whole, whatever the moment was
    return newest_epoch(folder)


def while_a_checkpoint_is_written(folder, after_epoch):
    def reached():
        return newest_epoch(folder) >= after_epoch and any(
            folder.glob("checkpoints/.partial-*.epoch_*")
        )

    return reached


def at_random_after(folder, after_epoch, seconds):
    moment = []

    def reached():
        if not moment and newest_epoch(folder) >= after_epoch:
            moment.append(time.monotonic() + seconds)
        return moment and time.monotonic() >= moment[0]

    return reached


@pytest.mark.long
@pytest.mark.own_process
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
@pytest.mark.parametrize("num_random_moments", [0, 2], ids=["once", "often"])
def test_killed_again_and_again_a_run_ends_with_the_same_bits(tmp_path, num_random_moments):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    wait(start(whole), whole)
    seed = random.SystemRandom().randrange(1_000_000)
    print("seed of the moments:", seed)  # pytest shows it if the test fails
    draw = random.Random(seed)

    epochs = [0]
    if num_random_moments:
        epochs = [kill_at(start(killed), killed, lambda: True)]  # before anything was trained
    moment = while_a_checkpoint_is_written(killed, draw.randrange(1, 8))
    epochs.append(kill_at(start(killed), killed, moment))
    for _ in range(num_random_moments):
        moment = at_random_after(killed, epochs[-1] + draw.randrange(1, 8), draw.uniform(0, 0.1))
        epochs.append(kill_at(start(killed), killed, moment))
    assert epochs == sorted(epochs)
    assert 0 < epochs[-1] < EPOCHS
    wait(start(killed), killed)

    assert newest_epoch(killed) == EPOCHS
    assert not list(killed.rglob(".partial-*"))
    with np.load(whole / "weights.npz") as expected, np.load(killed / "weights.npz") as got:
        assert len(expected.files) == len(got.files) > 8
        for name in expected.files:
            np.testing.assert_array_equal(expected[name], got[name])
