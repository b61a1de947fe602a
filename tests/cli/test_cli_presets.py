"""`keras-hkd presets`, and presets wherever a command takes a model."""

import json

import numpy as np
import pytest
from fixtures.presets import FACTS, MEASURED, little_preset, preset, presets_of_little  # noqa: F401
from PIL import Image

SIZE = (64, 96)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (120, 90), (90, 90, 90)).save(folder / name)
    return folder


@pytest.fixture(scope="module")
def dogs(tmp_path_factory):
    """Four pictures with a dog and a person, as a COCO folder."""
    folder = tmp_path_factory.mktemp("dogs")
    images, annotations = [], []
    for number in range(4):
        pixels = np.full((64, 96, 3), 40, np.uint8)
        pixels[10:50, 10:26] = 220
        Image.fromarray(pixels).save(folder / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 96, "height": 64})
        for category, box in ((1, [10, 10, 16, 40]), (2, [40, 30, 30, 20])):
            one = {"id": len(annotations) + 1, "image_id": number, "category_id": category}
            annotations.append({**one, "bbox": box})
    records = {"images": images, "annotations": annotations}
    records["categories"] = [{"id": 1, "name": "person"}, {"id": 2, "name": "dog"}]
    (folder / "annotations.json").write_text(json.dumps(records))
    return folder


def test_the_table(command, presets_of_little):  # noqa: F811
    code, printed, err = command("presets")
    assert code == 0, err
    for words in ("little", "1,000", "64x96", "0.500", "0.438", "0.900", "drawn"):
        assert words in printed


def test_the_table_as_json(command, presets_of_little):  # noqa: F811
    code, printed, _ = command("presets", "--json")
    assert code == 0
    assert json.loads(printed)["little"]["AP_int8"] == 0.4375


def test_a_card(command, presets_of_little):  # noqa: F811
    code, printed, _ = command("presets", "little")
    assert code == 0
    assert printed == (presets_of_little / "card.md").read_text()
    code, printed, _ = command("presets", presets_of_little, "--json")
    assert json.loads(printed) == {"facts": FACTS, "measured": MEASURED}


def test_an_unknown_preset_and_one_without_card(command, presets_of_little, tmp_path):  # noqa: F811
    code, _, err = command("presets", "litle")
    assert code == 2 and "Did you mean 'little'" in err
    from keras_hkd.zoo import from_preset

    from_preset("little").save_to_preset(tmp_path / "bare")
    code, _, err = command("presets", tmp_path / "bare")
    assert code == 2 and "has no card" in err


def test_no_presets(command, tmp_path, monkeypatch):
    from keras_hkd.zoo import catalogue

    monkeypatch.setattr(catalogue, "PRESETS", tmp_path)
    code, printed, _ = command("presets", "--json")
    assert code == 0 and json.loads(printed) == {}
    Image.new("RGB", (64, 64)).save(tmp_path / "photo.jpg")
    code, _, err = command("detect", tmp_path / "photo.jpg")
    assert code == 2 and "person_nano" in err


@pytest.mark.parametrize("how", ["first", "--model", "--preset", "default"])
def test_detect_with_a_preset(command, presets_of_little, photos, tmp_path, monkeypatch, how):  # noqa: F811
    from keras_hkd.cli import detect

    monkeypatch.chdir(tmp_path)
    words = {"first": ["little", photos], "default": [photos]}.get(how, [photos, how, "little"])
    if how == "default":
        monkeypatch.setattr(detect, "DEFAULT_PRESET", "little")
    code, printed, err = command("detect", *words, "--json")
    assert code == 0, err
    summary = json.loads(printed)
    assert summary["model"] == "little" and summary["num_images"] == 2
    assert summary["num_detections"] > 0
    assert (tmp_path / "detections" / "pictures" / "a.png").is_file()


def test_detect_at_another_size_runs_keras(command, presets_of_little, photos, tmp_path):  # noqa: F811
    words = ("little", photos, "--out", tmp_path / "out", "--image-size", 96, "--json")
    code, printed, err = command("detect", *words)
    assert code == 0, err
    assert json.loads(printed)["num_detections"] > 0


def test_detect_refuses_what_is_neither_model_nor_picture(command, presets_of_little, photos):  # noqa: F811
    for words, message in [
        (["litle", photos], "Did you mean 'little'"),
        (["little"], "Missing argument"),
        (["nowhere.keras", photos], "nowhere.keras"),
        ([photos, "--model", "nothing"], "nothing"),
        ([photos / "a.png", "nowhere.png", "--model", "little"], "nowhere.png"),
    ]:
        code, printed, err = command("detect", *words, "--json")
        assert code == 2, words
        assert message in err and not printed


def test_a_damaged_preset_is_refused(command, preset, photos, tmp_path):  # noqa: F811
    (preset / "int8.tflite").write_bytes(b"")
    code, _, err = command("detect", preset, photos, "--out", tmp_path / "out")
    assert code == 2 and "int8.tflite was altered" in err


def test_evaluate_compare_and_export_take_presets(command, presets_of_little, dogs, tmp_path):  # noqa: F811
    code, printed, err = command("evaluate", "little", "--data", dogs, "--json", "--no-cost")
    assert code == 0, err
    assert json.loads(printed)["num_images"] == 4
    code, _, err = command("export", "little", tmp_path / "x.tflite", "--json")
    assert code == 0, err
    words = ("compare", "little", tmp_path / "x.tflite", "--data", dogs, "--repeats", 0, "--json")
    code, printed, err = command(*words)
    assert code == 0, err
    found = json.loads(printed)
    assert found["a"]["file"] == "little"
    assert found["a"]["size_bytes"] == (presets_of_little / "model.weights.h5").stat().st_size
    assert found["a"]["AP"] == pytest.approx(found["b"]["AP"], abs=0.01)
    code, _, err = command("evaluate", "litle", "--data", dogs)
    assert code == 2 and "Did you mean 'little'" in err


@pytest.mark.slow
def test_fine_tuning_on_other_classes_renews_the_head(command, presets_of_little, dogs, tmp_path):  # noqa: F811
    from keras_hkd import load_detector

    words = ("train", "--data", dogs, "--detector", "little", "--epochs", 1, "--batch-size", 4)
    words = (*words, "--val", dogs, "--class", "person", "--class", "dog")
    code, _, err = command(*words, "--out", tmp_path / "run", "--json")
    assert code == 0, err
    said = " ".join(err.split())
    assert "little knows the classes person, the data person, dog" in said
    assert "a new predictor for dog" in said
    trained = load_detector(tmp_path / "run" / "detector.keras")
    assert trained.class_names == ("person", "dog") and trained.image_size == SIZE


@pytest.mark.long
def test_a_preset_is_a_student_and_a_teacher(command, presets_of_little, dogs, tmp_path):  # noqa: F811
    words = ("distill", "--data", dogs, "--student", "little", "--teacher", "little")
    words = (*words, "--epochs", 1, "--batch-size", 4, "--method", "hkd", "--no-augment")
    code, _, err = command(*words, "--out", tmp_path / "run", "--json")
    assert code == 0, err
    assert (tmp_path / "run" / "student.keras").is_file()


def test_an_unknown_detector_is_told_of_presets(command, presets_of_little, dogs, tmp_path):  # noqa: F811
    words = ("train", "--data", dogs, "--detector", "litle", "--epochs", 1)
    code, _, err = command(*words, "--out", tmp_path / "run")
    said = " ".join(err.split())
    assert code == 2 and "No preset is called 'litle'. Did you mean 'little'? No detector" in said


@pytest.mark.parametrize("width", [80, 40])
def test_the_table_cuts_nothing_in_a_narrow_terminal(capsys, monkeypatch, width):
    from keras_hkd.cli.presets import _print_table

    monkeypatch.setenv("COLUMNS", str(width))
    row = {"parameters": 12_345_678, "image_size": [320, 320], "photographs": "coco:test"}
    row |= {"AP": 0.345, "AP_int8": 0.338, "AP50": 0.612, "MR2": 0.571}
    row |= {"int8_bytes": 1_234_000, "latency_ms": 12.3}
    name = "qwzyjvgqwzyjvg"  # of letters that the rest of the table lacks
    _print_table({name: row})
    printed = capsys.readouterr().out
    assert "\u2026" not in printed
    assert "".join(c for c in printed if c in name) == name
    if width == 80:
        whole = (name, "12,345,678", "320x320", "0.345", "0.338", "0.612", "0.571", "1234", "12.3")
        assert set(whole) <= set(printed.split())
