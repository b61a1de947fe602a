import json
import pathlib

import numpy as np
import pytest
from PIL import Image

import keras_hkd.detectors
from keras_hkd import evaluation
from keras_hkd.cli.main import main


class CornerDetector:
    """Finds a person in the upper left quarter of every picture."""

    class_names = ("person",)
    image_size = (128, 128)
    weights = (np.zeros((2, 3)),)

    def predict_on_batch(self, images):
        num_images = len(images)
        return {
            "boxes": np.tile(np.array([[8, 8, 40, 104]], np.float32), (num_images, 1, 1)),
            "classes": np.zeros((num_images, 1), int),
            "confidence": np.full((num_images, 1), 0.9),
            "num_detections": np.ones(num_images, int),
        }


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.setattr(keras_hkd.detectors, "load_detector", lambda path: CornerDetector())
    cost = {"parameters": 6, "gflops": 0.5, "latency_ms": 1.5}
    monkeypatch.setattr(
        evaluation, "measure_costs", lambda models, size: dict.fromkeys(models, cost)
    )
    path = tmp_path / "model.keras"
    path.write_bytes(b"")
    return str(path)


@pytest.fixture
def data(tmp_path):
    """Four pictures; three of the people are where the detector looks."""
    images, annotations = [], []
    for i in range(4):
        Image.new("RGB", (128, 128)).save(tmp_path / f"{i}.jpg")
        images.append({"id": i + 1, "file_name": f"{i}.jpg", "width": 128, "height": 128})
        box = [8, 8, 32, 96] if i < 3 else [80, 8, 32, 96]
        annotations.append({"id": i + 1, "image_id": i + 1, "category_id": 1, "bbox": box})
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person"}],
    }
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(content))
    return path


def test_json(command, model, data):
    code, printed, err = command("evaluate", model, "--data", data, "--json")
    assert code == 0, err
    found = json.loads(printed)
    assert found["AR100"] == pytest.approx(0.75)
    assert found["num_images"] == 4
    assert (found["parameters"], found["gflops"], found["latency_ms"]) == (6, 0.5, 1.5)
    assert "Warning" in err and "100 images" in " ".join(err.split())


@pytest.mark.parametrize("threshold, told", [(0.05, False), (0.25, True)])
def test_a_high_score_threshold_is_warned_of(command, model, data, monkeypatch, threshold, told):
    monkeypatch.setattr(CornerDetector, "score_threshold", threshold, raising=False)
    code, _, err = command("evaluate", model, "--data", data, "--json")
    assert code == 0
    assert ("leaves out what scores 0.25 or less" in " ".join(err.split())) == told


def test_table_with_subsets(command, model, data):
    code, printed, _ = command("evaluate", model, "--data", data, "--protocol", "citypersons")
    assert code == 0
    for word in ("AP50", "MR2", "citypersons reasonable_small", "GFLOPs", "nobody counts"):
        assert word in printed


def test_saved_detections_score_the_same(capsys, tmp_path, model, data, command):
    file = tmp_path / "out/found.json"
    options = ("--data", data, "--no-cost", "--save-detections", file, "--json")
    code, printed, _ = command("evaluate", model, *options)
    assert code == 0
    found = json.loads(printed)
    assert "gflops" not in found and found["parameters"] == 6
    with pytest.raises(SystemExit) as stop:
        main(["score", str(data), str(file), "--protocol", "coco", "--json"])
    assert stop.value.code == 0
    scored = json.loads(capsys.readouterr().out)
    for name in ("AP", "AP50", "AP75", "AR100"):
        assert scored[name] == pytest.approx(found[name], abs=1e-9)


def test_saved_detections_take_the_place_of_detections_alone(command, tmp_path, model, data):
    labels, listed = data.read_bytes(), tmp_path / "listed.json"
    listed.write_text(json.dumps([{"name": "a.jpg", "labels": []}]))
    pathlib.Path(model).write_bytes(b"weights")
    words = ("evaluate", model, "--data", data, "--no-cost", "--json", "--save-detections")
    for file in (data, model, tmp_path / "0.jpg", listed):
        code, printed, err = command(*words, file)
        assert (code, printed) == (2, "")
        assert "holds something else" in " ".join(err.split()) and "images" not in err
    assert data.read_bytes() == labels
    found = tmp_path / "found.json"
    for before in ("", "[]", None):  # None for those of the call before
        if before is not None:
            found.write_text(before)
        code, _, err = command(*words, found)
        assert code == 0, err
        assert len(json.loads(found.read_text())) == 4


def test_bad_input(command, tmp_path, model, data):
    for arguments, word in [
        ((model,), "--data"),
        ((tmp_path / "none.keras", "--data", data), "none.keras"),
        ((model, "--data", tmp_path / "nowhere"), "nowhere"),
        ((model, "--data", data, "--image-size", "5"), "--image-size"),
        ((model, "--data", data, "--save-detections", tmp_path), "go to a file"),
        ((model, "--data", data, "--protocol", "voc"), "citypersons"),
    ]:
        code, printed, err = command("evaluate", *arguments, "--json")
        assert code == 2
        assert printed == ""
        assert word in err


def test_saved_detections_of_two_sources_are_scored_with_either(command, tmp_path, model, data):
    """Both number their pictures from 1; in the results each picture keeps its name."""
    other = tmp_path / "other"
    other.mkdir()
    content = json.loads(data.read_text())
    for number, image in enumerate(content["images"]):
        name = f"n{number}.jpg"
        Image.new("RGB", (128, 128)).save(other / name)
        image["file_name"] = name
    (other / "annotations.json").write_text(json.dumps(content))
    file = tmp_path / "found.json"
    sources = ("--data", other / "annotations.json", "--data", data)
    code, *_ = command("evaluate", model, *sources, "--no-cost", "--save-detections", file)
    assert code == 0
    options = ("--protocol", "coco", "--json", "--on-bad-data", "skip")
    for one in (data, other / "annotations.json"):
        code, printed, err = command("score", one, file, *options)
        assert code == 0, err
        assert json.loads(printed)["AR100"] == pytest.approx(0.75)


@pytest.mark.parametrize("own_id, name", [(0, "person"), (7, "Pedestrians"), (3, "human")])
def test_saved_detections_have_the_files_own_ids(command, tmp_path, model, data, own_id, name):
    content = json.loads(data.read_text())
    content["categories"] = [{"id": 5, "name": "car"}, {"id": own_id, "name": name}]
    for number, annotation in enumerate(content["annotations"]):
        annotation |= {"id": number, "category_id": own_id}  # from 0, as many exports number
    data.write_text(json.dumps(content))
    file = tmp_path / "found.json"
    options = ("--data", data, "--no-cost", "--save-detections", file, "--json")
    code, printed, err = command("evaluate", model, *options)
    assert code == 0 and "4 images, 4 person" in err
    assert {result["category_id"] for result in json.loads(file.read_text())} == {own_id}
    found = json.loads(printed)
    code, printed, _ = command("score", data, file, "--protocol", "coco", "--json")
    scored = json.loads(printed)
    for key in ("AP", "AP50", "AP75", "AR100"):
        assert scored[key] == pytest.approx(found[key], abs=1e-12)
    code, printed, _ = command("score", data, file, "--protocol", "citypersons", "--json")
    assert json.loads(printed)["reasonable"] == pytest.approx(found["MR2"])


def test_a_class_can_be_chosen(command, model, data):
    content = json.loads(data.read_text())
    content["categories"] = [{"id": 1, "name": "walker"}]
    data.write_text(json.dumps(content))
    options = ("--data", data, "--no-cost", "--json")
    code, _, err = command("evaluate", model, *options)
    assert code == 2 and "--class NAME" in err
    code, printed, err = command("evaluate", model, *options, "--class", "walker")
    assert code == 0 and json.loads(printed)["AR100"] == pytest.approx(0.75)
    assert "4 walker" in err


def test_the_folder_of_the_images_can_be_named(command, tmp_path, model, data):
    (tmp_path / "elsewhere").mkdir()
    for file in tmp_path.glob("*.jpg"):
        file.rename(tmp_path / "elsewhere" / file.name.upper())
    moved = tmp_path / "deep" / "er" / "annotations.json"
    moved.parent.mkdir(parents=True)
    data.rename(moved)
    options = ("--data", moved, "--no-cost", "--json")
    assert command("evaluate", model, *options)[0] == 2
    code, printed, err = command("evaluate", model, *options, "--images", tmp_path / "elsewhere")
    assert code == 0 and "4 images found under a name of other form" in err
