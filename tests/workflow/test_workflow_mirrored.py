"""A run over two devices, broken off and resumed, beside the same run on one device."""

import json
import subprocess
import sys

import numpy as np
import pytest

SCRIPT = """
import json
import sys

import tensorflow as tf

num_replicas = int(sys.argv[2])
cpu = tf.config.list_physical_devices("CPU")[0]
logical = [tf.config.LogicalDeviceConfiguration()] * num_replicas
tf.config.set_logical_device_configuration(cpu, logical)

import keras
import numpy as np

import keras_hkd.training as training
from keras_hkd.data import Dataset, ImageAnnotation

settings = training.TrainingSettings(
    epochs=3,
    batch_size=4,
    image_size=(32, 32),
    seed=3,
    strategy="mirrored" if num_replicas > 1 else None,
)


class Scenes(Dataset):
    def load_image(self, index):
        return np.random.default_rng(index).integers(0, 255, (32, 32, 3)).astype(np.uint8)


class Student(keras.Model):
    def __init__(self):
        super().__init__()
        self.stack = keras.Sequential(
            [
                keras.Input((32, 32, 3)),
                keras.layers.Rescaling(1 / 255),
                # No bias: its gradient before BatchNorm is rounding noise, which Adam enlarges.
                keras.layers.Conv2D(8, 3, strides=4, use_bias=False),
                keras.layers.BatchNormalization(synchronized=True),
                keras.layers.Flatten(),
                keras.layers.Dense(4),
            ]
        )
        self.built = True

    def call(self, x, training=False):
        return self.stack(x, training=training)

    def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
        loss = keras.ops.mean(keras.ops.square(y_pred - y["boxes"][:, 0] / 32))
        return loss / num_replicas


class BreakOff(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


boxes = [[4.0, 4.0, 12.0, 28.0]]
scenes = Scenes([ImageAnnotation("", n, 32, 32, boxes, [0]) for n in range(8)], ("person",), "", "")


def run(**options):
    with training.training_scope(settings) as replicas:
        if replicas != num_replicas:
            raise SystemExit(f"{replicas} replicas")
        student = Student()
    history = training.train_model(student, scenes, settings, sys.argv[1], **options)
    return student, history


try:
    run(callbacks=[BreakOff()])
except KeyboardInterrupt:
    student, history = run(resume=True)
weights = [keras.ops.convert_to_numpy(weight).ravel().tolist() for weight in student.weights]
print(json.dumps({"weights": weights, "loss": history["loss"]}))
"""


@pytest.mark.long
@pytest.mark.own_process
def test_two_devices_train_as_one_also_over_a_resume(tmp_path):
    one, two = (
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(tmp_path / str(number)), str(number)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in (1, 2)
    )
    results = []
    for process in (one, two):
        printed, said = process.communicate(timeout=600)
        assert process.returncode == 0, said[-4000:]
        results.append(json.loads(printed.splitlines()[-1]))
    np.testing.assert_allclose(results[0]["loss"], results[1]["loss"], rtol=1e-5)
    for a, b in zip(results[0]["weights"], results[1]["weights"], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
