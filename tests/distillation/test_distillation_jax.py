"""The Distiller on the JAX backend, in a process of its own."""

import importlib.util

import pytest

SCRIPT = """
import keras
import numpy as np

import keras_hkd
from keras_hkd.detectors import build
from keras_hkd.methods import hkd

assert keras.backend.backend() == "jax"
size = (64, 64)
teacher = build("yolo_v8_micro", image_size=size, seed=1)
student = build("yolo_v8_micro", image_size=size, seed=2)
distiller = hkd.hkd(teacher, student, weights="published", num_detections=4, score_threshold=0.0)
distiller.compile(optimizer=keras.optimizers.SGD(1e-3))

generator = np.random.default_rng(0)
images = generator.uniform(0, 255, (4, *size, 3)).astype("float32")
boxes = np.full((4, 3, 4), -1, "float32")
classes = np.full((4, 3), -1, "float32")
boxes[:3, 0], classes[:3, 0] = (10, 8, 40, 56), 0
labels = {"boxes": boxes, "classes": classes}

before = keras_hkd.distillation.weights_hash(teacher)
student_before = keras_hkd.distillation.weights_hash(student)
history = distiller.fit(images, labels, batch_size=2, epochs=1, verbose=0).history
wanted = {"loss", "class_loss", "box_loss", "pyramid_loss", "region_loss", "class_tower_loss"}
assert wanted == set(history), history
assert all(np.isfinite(values).all() for values in history.values()), history
assert history["pyramid_loss"][0] > 0 and history["region_loss"][0] > 0, history
assert history["class_tower_loss"][0] > 0, history
assert keras_hkd.distillation.weights_hash(teacher) == before
assert keras_hkd.distillation.weights_hash(student) != student_before
assert int(distiller.steps_taken) == 2

trained = keras_hkd.distillation.weights_hash(student)
found = distiller.predict(images, batch_size=2, verbose=0)
assert found["boxes"].shape == (4, 100, 4)
assert np.isfinite(found["boxes"]).all()
assert keras_hkd.distillation.weights_hash(student) == trained
print("TRAINED ON JAX")
"""


@pytest.mark.long
@pytest.mark.own_process
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
def test_one_epoch_on_jax_trains_the_student_and_leaves_the_teacher(fresh_python):
    told = fresh_python(SCRIPT, KERAS_BACKEND="jax", JAX_PLATFORMS="cpu")
    assert told.endswith("TRAINED ON JAX\n")
