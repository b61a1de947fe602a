import types

import pytest

import keras_hkd.detectors
import keras_hkd.export
from keras_hkd.cli.model_files import check_model_file, check_size_fits, load_model_file


def test_the_ending_decides(tmp_path, monkeypatch):
    monkeypatch.setattr(keras_hkd.export, "TFLiteDetector", lambda path: ("tflite", path))
    monkeypatch.setattr(keras_hkd.detectors, "load_detector", lambda path, **o: ("keras", path, *o))
    for name in ("tflite", "keras"):
        path = tmp_path / f"model.{name}"
        assert load_model_file(path) == (name, path)
    assert load_model_file(path, 0) == ("keras", path, "class_names", "class_indices")
    with pytest.raises(ValueError, match="classes that it was exported with.*person-class 0"):
        load_model_file(tmp_path / "model.tflite", 0)


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.tflite.*\.keras or \.tflite"):
        check_model_file(tmp_path / "none.tflite")


def test_a_folder_is_refused_and_the_model_in_it_named(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder; expected the file of a model.$"):
        check_model_file(tmp_path)
    (tmp_path / "student.keras").touch()
    with pytest.raises(IsADirectoryError, match=r"Did you mean .*student\.keras\?"):
        check_model_file(tmp_path)


def test_a_tflite_file_has_one_size():
    file = types.SimpleNamespace(path="x.tflite", image_size=(64, 96))
    check_size_fits(file, None)
    check_size_fits(file, (64, 96))
    check_size_fits(types.SimpleNamespace(image_size=(64, 96)), (320, 320))
    with pytest.raises(ValueError, match="x.tflite is made for 64x96.*320x320"):
        check_size_fits(file, (320, 320))
