"""Which kind of model a name or a file stands for, found without loading anything heavy."""

import json
import zipfile

import pytest

from keras_hkd.cli.model_kinds import Classifiers, kind_of


def saved(path, **config):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
    return path


def test_names():
    from keras_hkd import classifiers, detectors

    assert {kind_of(name).name for name in classifiers.names()} == {"classifier"}
    assert {kind_of(name).name for name in detectors.names()} == {"detector"}
    assert kind_of("nothing").name == "detector"


def test_files(tmp_path):
    ours = saved(
        tmp_path / "ours.keras",
        registered_name="keras_hkd>Classifier",
        config={"class_names": ["cat", "dog"]},
    )
    assert kind_of(ours).name == "classifier" and kind_of(ours).class_names == ["cat", "dog"]
    raw = saved(tmp_path / "raw.keras", class_name="Functional", module="keras.src.models")
    assert kind_of(raw).name == "classifier" and kind_of(raw).class_names is None
    detector = saved(tmp_path / "d.keras", registered_name="keras_hkd>YOLOV8", module="keras_hkd")
    library = saved(tmp_path / "k.keras", class_name="RetinaNet", module="keras_cv.src.models")
    (tmp_path / "text.keras").write_text("no model")
    for path in (detector, library, tmp_path / "text.keras", tmp_path / "absent.keras"):
        assert kind_of(path).name == "detector"


def test_nothing_heavy_is_loaded(fresh_python):
    script = (
        "import sys; from keras_hkd.cli.model_kinds import kind_of; kind_of('cnn_micro'); "
        "print({'keras', 'tensorflow', 'numpy'} & set(sys.modules))"
    )
    assert fresh_python(script) == "set()\n"


def test_formats_are_of_boxes():
    with pytest.raises(ValueError, match="one folder per class"):
        Classifiers().load_data("folder", format="coco")
