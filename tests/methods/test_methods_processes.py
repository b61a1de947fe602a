"""Methods for classifiers: two devices, and JAX, take the step that TensorFlow takes on one."""

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest

SCRIPT = """
import json
import sys

import keras
import numpy as np

num_replicas = int(sys.argv[1])
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    logical = [tf.config.LogicalDeviceConfiguration()] * num_replicas
    tf.config.set_logical_device_configuration(cpu, logical)

from keras_hkd import methods
from keras_hkd.classifiers import SelfSupervisedClassifier, build
from keras_hkd.training import strategy_scope

generator = np.random.default_rng(0)
images = generator.uniform(0, 255, (4, 32, 32, 3)).astype("float32")
labels = {"classes": np.array([0, 1, 1, -1], "int32")}
# One row for each class: which one an image gets is drawn, by every device for itself.
bank = generator.normal(size=(2, 1, 2)) + 3 * np.eye(2)[:, None]


def classifier(seed):
    sync = num_replicas > 1  # JAX has no such BatchNorm, and one device needs none
    return build("cnn_micro", class_names="ab", image_size=(32, 32), synchronized=sync, seed=seed)


def with_branches():
    return SelfSupervisedClassifier(classifier(1), mode="frozen", branch_style="light")


makers = {
    "kd": lambda: methods.get("kd")(classifier(1), classifier(2)),
    "hsakd": lambda: methods.get("hsakd")(with_branches(), classifier(2), branch_style="light"),
    "hssakd": lambda: methods.get("hssakd")(classifier(1), classifier(2), branch_style="light"),
    "osakd": lambda: methods.get("osakd")(classifier(2), weight=0.5, num_neighbours=2),
    "lw_kd": lambda: methods.get("lw_kd")(classifier(2), bank=bank, beta=0.0),
}
if keras.backend.backend() == "tensorflow":  # its discriminator takes a step of its own
    makers["adversarial"] = lambda: methods.get("lw_kd")(classifier(2), bank=bank, beta=0.5)


def drawn(model):
    # Initialisers draw other numbers on every backend.
    numbers = np.random.default_rng(1)
    for variable in model.variables:
        if len(variable.shape) > 1:
            variable.assign(numbers.normal(0, 0.2, variable.shape).astype("float32"))


results = {}
for name, make in makers.items():
    with strategy_scope("mirrored" if num_replicas > 1 else None):
        distiller = make()
        teacher = getattr(distiller, "teacher", None)
        for model in (teacher, distiller):
            if model is not None:
                drawn(model)
        optimizer = keras.optimizers.SGD(0.1)
        distiller.compile(optimizer=optimizer, jit_compile=False)
    start = [keras.ops.convert_to_numpy(v) for v in distiller.student.weights]
    history = distiller.fit(images, labels, batch_size=4, shuffle=False, verbose=0).history
    update = [keras.ops.convert_to_numpy(v) for v in distiller.student.weights]
    results[name] = {
        "weights": [value.ravel().tolist() for value in update],
        "moved": max(float(np.abs(a - b).max()) for a, b in zip(update, start)),
        "logs": {key: values[0] for key, values in history.items()},
    }
print(json.dumps(results))
"""
CASES = {"one device": ("tensorflow", 1), "two devices": ("tensorflow", 2), "jax": ("jax", 1)}

HAS_JAX = importlib.util.find_spec("jax") is not None
needs_jax = pytest.mark.skipif(not HAS_JAX, reason="JAX is not installed")


@pytest.fixture(scope="module")
def steps():
    """Case -> method -> the student's weights after one step, and what was logged."""
    cases = {case: how for case, how in CASES.items() if case != "jax" or HAS_JAX}
    processes = {
        case: subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(num_replicas)],
            env=os.environ | {"KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for case, (backend, num_replicas) in cases.items()
    }
    found = {}
    for case, process in processes.items():
        printed, said = process.communicate(timeout=1500)
        assert process.returncode == 0, f"{case}: {said[-4000:]}"
        found[case] = json.loads(printed.splitlines()[-1])
    return found


@pytest.mark.long
@pytest.mark.own_process
@pytest.mark.parametrize("case", ["two devices", pytest.param("jax", marks=needs_jax)])
def test_the_step_is_that_of_one_device_on_tensorflow(steps, case):
    rtol, atol = (1e-5, 1e-5) if case == "two devices" else (1e-3, 1e-4)
    adversarial = {"adversarial"} if case == "two devices" else set()
    assert set(steps[case]) == {"kd", "hsakd", "hssakd", "osakd", "lw_kd"} | adversarial
    for name, other in steps[case].items():
        one = steps["one device"][name]
        assert one["moved"] > 1e-3, name
        for a, b in zip(one["weights"], other["weights"], strict=True):
            np.testing.assert_allclose(b, a, rtol=rtol, atol=atol, err_msg=name)
        assert set(one["logs"]) == set(other["logs"])
        for key, value in one["logs"].items():
            logged = other["logs"][key]
            np.testing.assert_allclose(logged, value, rtol=10 * rtol, atol=atol, err_msg=name)
