"""`keras-hkd compare`: what it calls the two. Real models are in `test_cli_export.py`."""

import json
import types

import pytest

from keras_hkd.cli import compare

DATA = "synthetic:test?num_images=1&height=64&width=64"


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Two models of one name, as two distillations write them; nothing is measured."""
    detector = types.SimpleNamespace(image_size=(64, 64))
    monkeypatch.setattr(compare, "load_model_file", lambda path: detector)
    monkeypatch.setattr(
        compare,
        "_compare",
        lambda *_: {"a": {"AP": 0.1}, "b": {"AP": 0.2}, "num_images": 1, "differences": {}},
    )
    paths = [tmp_path / run / "student.keras" for run in "ab"]
    for path in paths:
        path.parent.mkdir()
        path.touch()
    return paths


def test_models_of_one_name_are_told_apart(command, files):
    code, out, err = command("compare", *files, "--data", DATA, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert [found[key]["file"] for key in "ab"] == [str(path) for path in files]


def test_models_of_different_names_are_shown_by_them(command, files):
    other = files[1].rename(files[1].with_name("int8.tflite"))
    code, out, err = command("compare", files[0], other, "--data", DATA)
    assert code == 0, err
    assert "student.keras" in out and "int8.tflite" in out and str(files[0].parent) not in out
