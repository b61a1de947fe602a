import json

import pytest

from keras_hkd import evaluation
from keras_hkd.cli import benchmark

ROW = {"median_ms": 2.0, "p90_ms": 2.5, "speed_up": 1.0, "size_bytes": 1000}


@pytest.fixture
def asked(monkeypatch):
    """What the command asks to be measured; a `.keras` file counts as exported."""
    calls = {}

    def measured(models, **options):
        calls.update(models=models, **options)
        return [{"model": name, "threads": 1, **ROW} for name in models]

    def exported(name, path, folder, size, nms):
        return {f"{name} as int8": folder / "int8.tflite", name: path}

    monkeypatch.setattr(evaluation, "benchmark_models", measured, raising=False)
    monkeypatch.setattr(benchmark, "_exported", exported)
    return calls


def test_one_json_object(command, tmp_path, asked):
    for name in ("a.keras", "b.tflite"):
        (tmp_path / name).touch()
    options = ("--threads", 4, "--threads", 4, "--rounds", 7, "--no-nms", "--no-memory", "--json")
    code, out, _ = command("benchmark", tmp_path / "a.keras", tmp_path / "b.tflite", *options)
    said = json.loads(out)
    assert code == 0
    names = ["a.keras as int8", "a.keras", "b.tflite"]
    assert [row["model"] for row in said["models"]] == names == list(asked["models"])
    assert said["rounds"] == 7 and "keras" in said["versions"]
    assert (asked["threads"], asked["nms"], asked["memory"]) == ((4,), False, False)


def test_a_table(command, tmp_path, asked):
    (tmp_path / "b.tflite").touch()
    code, out, _ = command("benchmark", tmp_path / "b.tflite")
    assert code == 0
    assert "2.50" in out and "b.tflite" in out
    assert (asked["threads"], asked["nms"], asked["memory"]) == ((1, 2), True, True)


def test_models_of_one_name_are_all_measured(command, tmp_path, asked):
    """Every distillation calls its model `student.keras`."""
    files = [tmp_path / run / "student.keras" for run in "ab"]
    files += [tmp_path / run / "small.tflite" for run in "ab"]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.touch()
    code, out, err = command("benchmark", *files, tmp_path / "a/small.tflite", "--json")
    assert code == 0, err
    measured = [row["model"] for row in json.loads(out)["models"]]
    a, b, *small = map(str, files)
    assert measured == [f"{a} as int8", a, f"{b} as int8", b, *small]
    assert [asked["models"][name] for name in (a, b, *small)] == files


def test_a_file_that_is_not_there(command, tmp_path):
    code, out, err = command("benchmark", tmp_path / "b.tflite", "--json")
    assert (code, out) == (2, "")
    assert "there is no such file" in err
