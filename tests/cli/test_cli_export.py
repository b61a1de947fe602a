import json

import numpy as np
import pytest
from PIL import Image

import keras_hkd
from keras_hkd.cli.export import load_images
from keras_hkd.cli.main import main

DATA = "synthetic:test?num_images=4&seed=1&height=64&width=64"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    path = tmp_path_factory.mktemp("student") / "student.keras"
    keras_hkd.detectors.build("yolo_v8_micro", image_size=(64, 64), seed=1).save(path)
    return path


@pytest.fixture(scope="module")
def tflite(student):
    """The student's file, written by the command, and what the command said."""
    path = student.with_suffix(".tflite")
    with pytest.MonkeyPatch.context() as patch:
        said = {}
        patch.setattr("keras_hkd.cli.export.print_json", said.update)
        with pytest.raises(SystemExit) as stop:
            main(
                ["export", str(student), str(path), "--author", "Ada", "--json"]
                + ["--data", DATA, "--max-drop", "1"]
            )
    assert stop.value.code == 0
    return path, said


def test_the_report(tflite):
    path, said = tflite
    assert said["size_bytes"] == path.stat().st_size
    assert said["operators"]["NON_MAX_SUPPRESSION_V4"] == 1
    assert said["head_errors"]["class_logits"] < 1e-3
    assert said["gate"]["passed"] is True
    assert keras_hkd.TFLiteDetector(path).card["author"] == "Ada"


def test_int8_from_a_folder_of_images(command, tmp_path, student):
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(2):
        noise = np.random.default_rng(i).integers(0, 256, (48, 64, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"{i}.png")
    options = ("--quantization", "int8", "--representative", folder, "--no-nms")
    code, out, err = command("export", student, tmp_path / "x.tflite", *options)
    assert code == 0, err
    assert "operators" in out and "CONV_2D" in out
    assert not keras_hkd.TFLiteDetector(tmp_path / "x.tflite").nms


def test_evaluate_and_detect_take_the_file(command, tmp_path, tflite):
    path, _ = tflite
    code, out, err = command("evaluate", path, "--data", DATA, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["size_bytes"] == path.stat().st_size
    assert found["latency_ms"] > 0 and "gflops" not in found
    Image.new("RGB", (100, 80)).save(tmp_path / "photo.png")
    options = ("--out", tmp_path / "found", "--score-threshold", 0.0, "--json")
    code, out, err = command("detect", path, tmp_path / "photo.png", *options)
    assert code == 0, err
    assert json.loads(out)["num_images"] == 1


def test_compare(command, student, tflite):
    path, _ = tflite
    options = ("--data", DATA, "--score-threshold", 0, "--repeats", 2)
    code, out, err = command("compare", student, path, *options, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["b"]["AP"] == pytest.approx(found["a"]["AP"], abs=1e-3)
    assert found["b"]["size_bytes"] == path.stat().st_size
    assert found["b"]["latency_ms"] > 0
    assert found["differences"]["score_max"] < 1e-3
    code, out, _ = command("compare", student, path, *options)
    assert code == 0
    for word in ("AP50", "MR2", "size", "time per image", "largest", "student.tflite"):
        assert word in out


def test_a_drop_is_refused_with_exit_code_1(command, tmp_path, student, monkeypatch):
    from keras_hkd.evaluation import average_precision_gate
    from keras_hkd.export import ExportError

    def refuse(self, path):
        raise ExportError("AP falls from 0.3 to 0.1")

    monkeypatch.setattr(average_precision_gate.AveragePrecisionGate, "__call__", refuse)
    path = tmp_path / "x.tflite"
    code, out, err = command("export", student, path, "--data", DATA, "--json")
    assert (code, out) == (1, "")
    assert "AP falls" in err
    assert not path.exists()


def test_bad_input(command, tmp_path, student, tflite):
    file, path = tmp_path / "x.tflite", tflite[0]
    (tmp_path / "empty").mkdir()
    int8 = ("--quantization", "int8")
    for arguments, word in [
        (("export", tmp_path / "none.keras", file), "none.keras"),
        (("export", student, tmp_path / "x.pb"), "must end in .tflite or .onnx"),
        (("export", student, tmp_path / "x.onnx", *int8), "go with a .tflite"),
        (("export", student, tmp_path / "x.onnx", "--author", "me"), "`--author` goes into"),
        (("export", student, tmp_path / "x", "--model-version", "2"), "`--model-version` goes"),
        (("export", student, file, "--max-drop", "0.2"), "name some by --data"),
        (("export", student, file, "--force"), "name some by --data"),
        (("export", student, file, "--representative", tmp_path), "goes with"),
        (("export", student, file, *int8), "--representative FOLDER"),
        (("export", student, file, "--image-size", "33x64"), "multiples of 32"),
        (("export", student, file, "--quantization", "int4"), "int8"),
        (("export", path, file), "could not be read"),
        (("evaluate", path, "--data", DATA, "--image-size", 96), "made for 64x64"),
        (("detect", path, tmp_path, "--out", tmp_path / "o"), "There is no image"),
        (("compare", student, tmp_path / "none.tflite", "--data", DATA), "none.tflite"),
        (("compare", path, path, "--data", DATA, "--image-size", 96), "made for 64x64"),
    ]:
        code, out, err = command(*arguments, "--json")
        assert code == 2, (arguments, err)
        assert out == ""
        assert word in err
        assert not file.exists()


def test_a_folder_without_a_picture_is_named(tmp_path):
    with pytest.raises(ValueError, match=f"no image in {tmp_path}"):
        load_images(str(tmp_path), {})


def test_a_folder_of_pictures_in_folders_is_one_of_pictures(tmp_path):
    (tmp_path / "day").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "day" / "a.png")
    assert load_images(str(tmp_path), {}) == tmp_path
