"""Saved models in a program that has imported nothing of ours but the package itself."""

import importlib
import json
import pathlib
import pkgutil
import zipfile

import keras
import numpy as np
import pytest

import keras_hkd
from keras_hkd import classifiers, detectors
from keras_hkd.detectors.rtmdet import RTMDet, RTMDetConfig
from keras_hkd.methods.hsakd import SelfSupervisedClassifier
from keras_hkd.registration import FORMER_NAMES, modules_by_registered_name

ROOT = pathlib.Path(keras_hkd.__file__).parents[1]
SIZE = (64, 64)

LOAD = """
import json, sys
{imports}
import keras
loaded = {{}}
for path in sys.argv[1:]:
    model = keras.models.load_model(path)
    loaded[path] = [type(model).__module__, type(model).__name__]
print("LOADED=" + json.dumps(loaded))
"""


def distilled_student():
    teacher = detectors.build("yolo_v8_micro", image_size=SIZE, seed=0)
    student = detectors.build("retinanet_micro", image_size=SIZE, seed=1)
    distiller = keras_hkd.methods.get("hkd")(teacher, student)
    distiller.compile(optimizer="adamw")
    return distiller.student


MODELS = {
    "YOLOV8": lambda: detectors.build("yolo_v8_micro", image_size=SIZE),
    "RetinaNet": lambda: detectors.build("retinanet_micro", image_size=SIZE),
    "YOLOV8 on a Backbone": lambda: detectors.build("yolo_v8_mobilenet_v2_0.35", image_size=SIZE),
    "RTMDet": lambda: RTMDet(RTMDetConfig(width=0.125, num_classes=1), image_size=SIZE),
    "Classifier": lambda: classifiers.build("cnn_micro", class_names="ab", image_size=(32, 32)),
    "SelfSupervisedClassifier": lambda: SelfSupervisedClassifier(MODELS["Classifier"]()),
    "YOLOV8, quantised": lambda: keras_hkd.quantize(MODELS["YOLOV8"]()),
    "RetinaNet, pruned": lambda: keras_hkd.prune_channels(MODELS["RetinaNet"](), 0.2),
    "Classifier, quantised": lambda: keras_hkd.quantize(MODELS["Classifier"]()),
    "RetinaNet, distilled": distilled_student,
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    files = {}
    for number, (name, make) in enumerate(MODELS.items()):
        files[name] = folder / f"{number}.keras"
        make().save(files[name])
    return files


def classes_loaded(fresh_python, imports, paths):
    told = fresh_python(LOAD.format(imports=imports), *paths).splitlines()[-1]
    loaded = json.loads(told.removeprefix("LOADED="))
    return [loaded[str(path)] for path in paths]


OLD_FILES = (
    ROOT / "benchmarks/weights/student_coco_person.keras",
    ROOT / "examples/demo_teacher.keras",
)


@pytest.mark.slow
@pytest.mark.own_process
def test_load_model_reads_whatever_the_package_writes_and_wrote(fresh_python, saved):
    """Files of today's classes, and those that were written before modules moved."""
    for path in OLD_FILES:
        with zipfile.ZipFile(path) as archive:
            module = json.loads(archive.read("config.json"))["module"]
        assert module == "keras_hkd.detectors.yolo_v8"
    found = classes_loaded(fresh_python, "import keras_hkd", [*saved.values(), *OLD_FILES])
    new, old = found[: len(saved)], found[len(saved) :]
    assert [name for _, name in new] == [name.split()[0].rstrip(",") for name in saved]
    assert all(module.startswith("keras_hkd.") for module, _ in new)
    assert old == [["keras_hkd.detectors.keras_cv.yolo_v8", "YOLOV8"]] * 2


@pytest.mark.slow
@pytest.mark.own_process
def test_load_model_reads_them_also_if_keras_came_first(fresh_python, saved):
    paths = [saved[name] for name in ("YOLOV8", "SelfSupervisedClassifier")]
    found = classes_loaded(fresh_python, "import keras\nimport keras_hkd.detectors", paths)
    assert [name for _, name in found] == ["YOLOV8", "SelfSupervisedClassifier"]


def test_a_placeholder_rebuilds_the_class_that_it_stands_for():
    registered = keras.saving.get_custom_objects()
    name = "keras_hkd>PearsonCorrelation"
    loss = keras_hkd.losses.PearsonCorrelation()
    real = registered.pop(name)
    try:
        from keras_hkd import registration

        registration.register_with_keras()
        assert registered[name] is not real
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    finally:
        registered[name] = real
    assert type(again) is real
    assert again.get_config() == loss.get_config()


def test_every_registered_class_is_found_in_the_sources():
    for module in pkgutil.walk_packages(keras_hkd.__path__, "keras_hkd."):
        importlib.import_module(module.name)
    registered = keras.saving.get_custom_objects()
    former = {f"keras_hkd>{name}" for name in FORMER_NAMES}
    ours = {
        name: value
        for name, value in registered.items()
        if name.startswith("keras_hkd>") and name not in former
    }
    assert {name: value.__module__ for name, value in ours.items()} == modules_by_registered_name()
    assert all(hasattr(value, "get_config") for value in ours.values())  # no placeholder is left


def test_a_saved_model_predicts_as_before(tmp_path):
    model = MODELS["YOLOV8"]()
    images = np.random.default_rng(0).uniform(0, 255, (1, *SIZE, 3)).astype("float32")
    model.save(tmp_path / "model.keras")
    found = keras.models.load_model(tmp_path / "model.keras").predict_on_batch(images)
    for name, value in model.predict_on_batch(images).items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5)


@pytest.mark.own_process
def test_who_only_asks_where_keras_is_does_not_end_the_registration(fresh_python):
    """As TensorFlow does while it loads: the classes are registered once Keras is imported."""
    code = """
        import importlib.util
        import keras_hkd
        assert importlib.util.find_spec("keras") is not None
        assert importlib.util.find_spec("keras") is not None
        import keras
        registered = keras.saving.get_custom_objects()
        print("keras_hkd>YOLOV8" in registered, "keras_hkd>Backbone" in registered)
    """
    assert fresh_python(code).splitlines()[-1] == "True True"
