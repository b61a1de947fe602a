import json

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


def test_bad_input(command, tmp_path, model, data):
    for arguments, word in [
        ((model,), "--data"),
        ((tmp_path / "none.keras", "--data", data), "none.keras"),
        ((model, "--data", tmp_path / "nowhere"), "nowhere"),
        ((model, "--data", data, "--image-size", "5"), "--image-size"),
        ((model, "--data", data, "--protocol", "voc"), "citypersons"),
    ]:
        code, printed, err = command("evaluate", *arguments, "--json")
        assert code == 2
        assert printed == ""
        assert word in err
