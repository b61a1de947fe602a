"""A cached teacher on two devices and on JAX: the steps are those of one device on TensorFlow."""

import importlib.util
import json

import numpy as np
import pytest

SCRIPT = """
import contextlib
import json
import pathlib
import sys

folder, num_replicas = pathlib.Path(sys.argv[1]), int(sys.argv[2])
import tensorflow as tf

if num_replicas == 2:
    cpu = tf.config.list_physical_devices("CPU")[0]
    logical = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, logical)

import keras

import keras_hkd
from keras_hkd.data import synthetic_dataset
from keras_hkd.detectors import build, load_detector
from keras_hkd.hierarchies import Boxes, ClassLogits, Pyramid, Region
from keras_hkd.batch_norm import synchronize_batch_norm
from keras_hkd.losses import AdaptiveDistillation, FeatureImitation, GIoU

size = (64, 64)
images = synthetic_dataset(4, image_size=size, seed=1)


def losses():
    return [
        Pyramid(FeatureImitation()),
        Region(FeatureImitation(), score_threshold=0.0),
        ClassLogits(AdaptiveDistillation()),
        Boxes(GIoU()),
    ]


if not (folder / "student.keras").exists():
    teacher = build("yolo_v8_micro", image_size=size, seed=1)
    keras_hkd.TeacherCache.build(teacher, images, folder / "cache", hierarchies=losses())
    build("yolo_v8_micro", image_size=size, seed=2).save(folder / "student.keras")

scope = contextlib.nullcontext()
if num_replicas == 2:
    scope = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope()
with scope:
    cache = keras_hkd.TeacherCache.load(folder / "cache")
    student = load_detector(folder / "student.keras")
    if num_replicas == 2:
        synchronize_batch_norm(student)
    distiller = keras_hkd.Distiller(cache, student, losses())
    distiller.compile(optimizer=keras.optimizers.SGD(1e-3))
batches = cache.training_batches(images, batch_size=4, seed=0)
history = distiller.fit(batches, epochs=2, steps_per_epoch=1, verbose=0).history
weights = [keras.ops.convert_to_numpy(w).ravel().tolist() for w in distiller.student.weights]
print(json.dumps({"backend": keras.backend.backend(), "weights": weights, "history": history}))
"""


@pytest.fixture(scope="module")
def train(fresh_python, tmp_path_factory):
    """Give a function that trains the same pair in a process of its own."""
    folder = tmp_path_factory.mktemp("backends")

    def run(backend, num_replicas):
        told = fresh_python(
            SCRIPT, folder, num_replicas, KERAS_BACKEND=backend, JAX_PLATFORMS="cpu"
        )
        found = json.loads(told.splitlines()[-1])
        assert found["backend"] == backend
        return found

    return run


@pytest.fixture(scope="module")
def one_device(train):
    return train("tensorflow", 1)


def assert_same_steps(found, expected):
    for name, values in expected["history"].items():
        assert found["history"][name] == pytest.approx(values, rel=1e-3, abs=1e-5), name
    for new, old in zip(found["weights"], expected["weights"], strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-4, atol=1e-4)


@pytest.mark.long
@pytest.mark.own_process
def test_two_devices_take_the_steps_of_one(train, one_device):
    assert_same_steps(train("tensorflow", 2), one_device)


@pytest.mark.long
@pytest.mark.own_process
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
def test_jax_takes_the_steps_of_tensorflow(train, one_device):
    assert_same_steps(train("jax", 1), one_device)
