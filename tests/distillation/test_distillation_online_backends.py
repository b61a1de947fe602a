"""Mean teacher and mutual learning on JAX, and over two devices beside one."""

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest

PRELUDE = """
import json
import sys

num_replicas = int(sys.argv[1])
if num_replicas == 2:
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    logical = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, logical)

import contextlib

import keras
import numpy as np

from keras_hkd import methods
from keras_hkd.detectors import build

size = (64, 64)
images = np.random.default_rng(0).uniform(0, 255, (4, *size, 3)).astype("float32")
boxes = np.full((4, 2, 4), -1, "float32")
boxes[:, 0] = (10, 8, 40, 56)
labels = {"boxes": boxes, "classes": np.where(boxes[..., 2] > 0, 0.0, -1.0).astype("float32")}
scope = contextlib.nullcontext()
if num_replicas == 2:
    scope = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope()


def flat(weights):
    return [keras.ops.convert_to_numpy(weight).ravel().tolist() for weight in weights]


def student(seed):
    shared = keras.backend.backend() == "tensorflow"  # Keras has no such BatchNorm on JAX
    return build("yolo_v8_micro", image_size=size, synchronized=shared, seed=seed)


results = {}
with scope:
    mean_teacher = methods.mean_teacher(student(1), weight=1.0, momentum=0.5, ramp=False)
    mutual = methods.mutual(student(2), student(1))
    for name, model in {"mean_teacher": mean_teacher, "mutual": mutual}.items():
        model.compile(optimizer=keras.optimizers.SGD(1e-3))
        start = flat(model.weights)
        other = mean_teacher.teacher if name == "mean_teacher" else mutual.peers[1]
"""
EPILOGUE = """
        results[name] = {
            "student": flat(model.student.weights), "other": flat(other.weights),
            "logs": {key: values[-1] for key, values in history.items()},
            "moved": sum(a != b for a, b in zip(flat(model.weights), start)) / len(start),
        }
print(json.dumps(results))
"""
FIT = """
        options = {"batch_size": 4, "epochs": 2, "verbose": 0, "shuffle": False}
        history = model.fit(images, labels, **options).history
"""
FIT_SHARED = """
        data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(4, drop_remainder=True)
        history = model.fit(data, epochs=2, verbose=0).history
"""


def start(backend, num_replicas):
    fit = FIT_SHARED if num_replicas == 2 else FIT
    environment = {"KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + fit + EPILOGUE, str(num_replicas)],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def results_of(process):
    printed, said = process.communicate(timeout=900)
    assert process.returncode == 0, said[-4000:]
    return json.loads(printed.splitlines()[-1])


@pytest.mark.long
@pytest.mark.own_process
def test_two_devices_take_the_steps_of_one():
    one, two = map(results_of, [start("tensorflow", number) for number in (1, 2)])
    for method in ("mean_teacher", "mutual"):
        assert one[method]["moved"] > 0.8
        for which in ("student", "other"):
            for a, b in zip(one[method][which], two[method][which], strict=True):
                np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-4)
        for name, value in one[method]["logs"].items():
            assert two[method]["logs"][name] == pytest.approx(value, rel=1e-3, abs=1e-5), name


@pytest.mark.long
@pytest.mark.own_process
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
def test_steps_on_jax():
    for result in results_of(start("jax", 1)).values():
        assert result["moved"] > 0.8
        assert all(np.isfinite(value) for value in result["logs"].values())
