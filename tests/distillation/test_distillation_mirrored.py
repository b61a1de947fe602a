"""One step of HKD over two devices beside the same step on one, for both families."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

SCRIPT = """
import json
import sys

import tensorflow as tf

family, num_replicas = sys.argv[1], int(sys.argv[2])
cpu = tf.config.list_physical_devices("CPU")[0]
logical = [tf.config.LogicalDeviceConfiguration()] * num_replicas
tf.config.set_logical_device_configuration(cpu, logical)

import keras
import numpy as np

from keras_hkd.detectors import build
from keras_hkd.methods.hkd import hkd

size = (64, 64)
images = np.random.default_rng(0).uniform(0, 255, (4, *size, 3)).astype("float32")
people = {
    "balanced": [[(10, 8, 40, 56)], [(4, 4, 20, 40), (30, 10, 50, 60)], [(20, 12, 44, 60)], []],
    "nobody in one share": [[(10, 8, 40, 56), (30, 10, 50, 60)], [(4, 4, 20, 40)], [], []],
    "only ignore regions in one share": [[(10, 8, 40, 56)], [(4, 4, 20, 40)], [], []],
}
ignored = {"only ignore regions in one share": [[], [], [(0, 0, 64, 40)], [(16, 16, 64, 64)]]}


def padded(rows, count=2):
    boxes = np.full((len(rows), count, 4), -1.0, "float32")
    for index, row in enumerate(rows):
        for place, box in enumerate(row):
            boxes[index, place] = box
    return boxes


def labels(case):
    boxes = padded(people[case])
    return {
        "boxes": boxes,
        "classes": np.where(boxes[..., 2] > 0, 0.0, -1.0).astype("float32"),
        "ignore_boxes": padded(ignored.get(case, [[]] * 4)),
    }


scope = (
    tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]) if num_replicas == 2
    else tf.distribute.get_strategy()
)
with scope.scope():
    teacher = build(f"{family}_micro", image_size=size, synchronized=True, seed=1)
    student = build(f"{family}_micro", image_size=size, synchronized=True, seed=2)
    distiller = hkd(teacher, student, weights="published", num_detections=4, score_threshold=0.0)
    optimizer = keras.optimizers.SGD(1e-3)
    distiller.compile(optimizer=optimizer, jit_compile=False)
start = [keras.ops.convert_to_numpy(v) for v in student.weights]
teacher_start = [keras.ops.convert_to_numpy(v) for v in teacher.weights]
results = {}
for case in people:
    for variable, value in zip(student.weights, start):
        variable.assign(value)
    data = tf.data.Dataset.from_tensor_slices((images, labels(case)))
    history = distiller.fit(data.batch(4, drop_remainder=True), verbose=0).history
    update = [keras.ops.convert_to_numpy(v) for v in student.weights]
    results[case] = {
        "weights": [value.ravel().tolist() for value in update],
        "logs": {name: values[0] for name, values in history.items()},
        "moved": max(float(np.abs(a - b).max()) for a, b in zip(update, start)),
    }
for variable, value in zip(teacher.weights, teacher_start):
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), value)
print(json.dumps(results))
"""


@pytest.mark.long
@pytest.mark.own_process
@pytest.mark.parametrize("family", ["yolo_v8", "retinanet"])
def test_two_devices_take_the_step_of_one(family):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, family, str(number)],
            env=os.environ | {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in (1, 2)
    ]
    results = []
    for process in processes:
        printed, said = process.communicate(timeout=900)
        assert process.returncode == 0, said[-4000:]
        results.append(json.loads(printed.splitlines()[-1]))
    for case, one in results[0].items():
        two = results[1][case]
        assert one["moved"] > 1e-4, case
        for a, b in zip(one["weights"], two["weights"], strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5, err_msg=case)
        for name, value in one["logs"].items():
            np.testing.assert_allclose(two["logs"][name], value, rtol=1e-4, atol=1e-6, err_msg=case)
