"""What only a fresh process shows: loading without distillation code, half precision, XLA."""

import numpy as np
import pytest

LOAD = """
import sys

import numpy as np

import keras_hkd

student = keras_hkd.load_detector("student.keras")
outputs = student(np.load("images.npy"))
np.testing.assert_allclose(outputs["class_logits"], np.load("logits.npy"), atol=1e-5)
assert student.count_params() == int(sys.argv[1])
loaded = [name for name in sys.modules if name.startswith("keras_hkd.")]
for part in ("distillation", "hierarchies", "losses", "methods"):
    assert not [name for name in loaded if name.startswith(f"keras_hkd.{part}")], loaded
print("DONE")
"""

TRAIN = """
import sys

import keras
import numpy as np

from keras_hkd.detectors import build
from keras_hkd.distillation import weights_hash
from keras_hkd.methods.hkd import hkd

policy, family, options = sys.argv[1], sys.argv[2], dict.fromkeys(sys.argv[3:], True)
keras.mixed_precision.set_global_policy(policy)
size = (64, 64)
teacher, student = (build(f"{family}_micro", image_size=size, seed=seed) for seed in (1, 2))
distiller = hkd(teacher, student, weights="published", num_detections=4, score_threshold=0.0)
optimizer = keras.optimizers.SGD(1e-4)
if policy == "mixed_float16":
    # From the usual 32768 the first steps overflow and are skipped on purpose.
    optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=16.0)
distiller.compile(optimizer=optimizer, **options)
images = np.random.default_rng(0).uniform(0, 255, (2, *size, 3)).astype("float32")
boxes = np.array([[(10, 8, 40, 56)], [(-1, -1, -1, -1)]], "float32")
labels = {"boxes": boxes, "classes": np.array([[0.0], [-1.0]], "float32")}
frozen, before = weights_hash(teacher), student.get_weights()
logs = distiller.train_on_batch(images, labels, return_dict=True)
assert all(np.isfinite(value) for value in logs.values()), logs
assert logs["region_loss"] > 0 and logs["pyramid_loss"] > 0, logs
after = student.get_weights()
assert all(np.isfinite(value).all() for value in after)
assert any((a != b).any() for a, b in zip(after, before, strict=True))
assert weights_hash(teacher) == frozen
print("DONE")
"""


@pytest.mark.slow
@pytest.mark.own_process
def test_the_saved_student_loads_without_distillation_code(
    distiller, batch, fresh_python, tmp_path
):
    images, _ = batch
    student = distiller.student
    # A layer that one of Keras's own losses has read must not show in the file either.
    student.tap("yolo_v8_head_1_class_1_conv")
    student.save(tmp_path / "student.keras")
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "logits.npy", student(images)["class_logits"])
    told = fresh_python(LOAD, student.count_params(), cwd=tmp_path)
    assert told.endswith("DONE\n")


@pytest.mark.slow
@pytest.mark.own_process
@pytest.mark.parametrize("family", ["yolo_v8", pytest.param("retinanet", marks=pytest.mark.long)])
def test_a_step_in_half_precision_stays_finite(fresh_python, family):
    told = fresh_python(TRAIN, "mixed_float16", family, "run_eagerly")
    assert told.endswith("DONE\n")


@pytest.mark.long
@pytest.mark.own_process
def test_a_step_compiled_by_xla_trains(fresh_python):
    assert fresh_python(TRAIN, "float32", "yolo_v8", "jit_compile").endswith("DONE\n")
