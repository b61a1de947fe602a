import json
import os

import numpy as np
import pytest
from PIL import Image

import keras_hkd.detectors
from keras_hkd import inference


class BlackBoxDetector:
    """Finds a box in the upper left quarter of every picture that is not white there."""

    class_names = ("person", "bicycle")
    image_size = (64, 64)
    score_threshold = 0.01

    def predict_on_batch(self, images):
        size = (len(images), 2)
        boxes = np.tile(np.array([[8, 8, 24, 32], [16, 8, 32, 32]], np.float32), (*size[:1], 1, 1))
        found = images[:, :32, :32].mean(axis=(1, 2, 3)) < 200
        return {
            "boxes": boxes,
            "classes": np.tile(np.array([0, 1]), (size[0], 1)),
            "confidence": np.tile(np.array([0.9, 0.4], np.float32), (size[0], 1)),
            "num_detections": np.where(found, 2, 0),
        }


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A model file, whatever is in it read as the detector above."""
    monkeypatch.setattr(keras_hkd.detectors, "load_detector", lambda path: BlackBoxDetector())
    path = tmp_path / "model.keras"
    path.write_bytes(b"")
    return str(path)


@pytest.fixture
def photos(tmp_path):
    """Two pictures of a person and one of nobody, of three sizes, in two folders."""
    folder = tmp_path / "photos"
    for name, size, colour in [
        ("day/1.jpg", (64, 64), 0),
        ("day/2.png", (256, 128), 0),
        ("night/1.jpg", (100, 200), 255),
    ]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (colour,) * 3).save(folder / name)
    return folder


def test_detections_and_pictures(command, tmp_path, model, photos):
    out = tmp_path / "found"
    code, printed, err = command("detect", model, photos, "--out", out, "--json", "--batch-size", 2)
    assert code == 0, err
    summary = json.loads(printed)
    assert summary["num_images"] == 3
    assert summary["num_detections"] == 4
    results = json.loads((out / "detections.json").read_text())
    assert [(r["image_id"], r["category_id"]) for r in results] == [
        ("day/1", 1),
        ("day/1", 2),
        ("day/2", 1),
        ("day/2", 2),
    ]
    assert results[0]["bbox"] == [8, 8, 16, 24]
    assert results[2]["bbox"] == [32, 32, 64, 96]  # 256 wide: four pixels per pixel seen
    assert results[2]["file_name"] == "day/2.png"
    pictures = sorted(p.relative_to(out).as_posix() for p in out.rglob("*.*g"))
    assert pictures == ["pictures/day/1.jpg", "pictures/day/2.png", "pictures/night/1.jpg"]
    with Image.open(out / "pictures/day/2.png") as picture:
        assert picture.size == (256, 128)
        assert np.asarray(picture).any()


def test_drawn_pictures_are_not_looked_at_again(command, tmp_path, model, photos):
    """The folder of results lies among the photographs; the pictures there may be asked for."""
    for _ in range(2):
        out = photos / "found"
        code, printed, err = command("detect", model, photos, "--out", out, "--json")
        assert code == 0, err
        assert json.loads(printed)["num_images"] == 3
    assert "Left out 3 pictures" in err
    words = ("detect", model, out / "pictures", "--out", out, "--json", "--no-pictures")
    assert json.loads(command(*words)[1])["num_images"] == 3


def test_pictures_drawn_into_another_folder_are_not_looked_at(command, model, photos):
    for name in ("found", "again"):
        code, printed, err = command("detect", model, photos, "--out", photos / name, "--json")
        assert code == 0, err
        assert json.loads(printed)["num_images"] == 3
    assert "found/pictures" in "".join(err.split())


def test_drawn_pictures_alone_are_no_photographs(command, model, photos):
    command("detect", model, photos / "day", "--out", photos / "found")
    code, _, err = command("detect", model, photos / "found", "--out", photos / "again")
    assert code == 2 and "drawn by earlier calls" in " ".join(err.split())


def test_a_halted_call_leaves_its_drawings_known(command, tmp_path, model, photos, monkeypatch):
    """Neither results nor parts were written when it was halted."""
    draw = inference.drawing.draw_detections
    drawn = []

    def halted(*args):
        if drawn:
            raise KeyboardInterrupt
        drawn.append(draw(*args))
        return drawn[0]

    monkeypatch.setattr(inference.drawing, "draw_detections", halted)
    words = ("detect", model, photos, "--out", photos / "found", "--json")
    assert command(*words)[0] != 0 and drawn
    monkeypatch.setattr(inference.drawing, "draw_detections", draw)
    code, printed, err = command(*words)
    found = json.loads(printed)
    assert (code, found["num_images"], found["num_drawn_before"]) == (0, 3, 1), err


def test_photographs_in_a_folder_called_pictures_are_looked_at(command, model, photos):
    """Also where results lie beside it."""
    (photos / "day").rename(photos / "pictures")
    words = ("detect", model, photos / "pictures", "--out", photos, "--json", "--no-pictures")
    assert json.loads(command(*words)[1])["num_images"] == 2
    words = ("detect", model, photos, "--out", photos / "found", "--json")
    assert json.loads(command(*words)[1])["num_images"] == 3


@pytest.mark.parametrize("listed", [True, False])
def test_no_photograph_is_replaced_by_its_picture(command, model, photos, listed):
    folder = photos / "pictures"
    (photos / "day").rename(folder)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    places = sorted(before) if listed else [folder]
    code, _, err = command("detect", model, *places, "--out", photos)
    assert code == 2 and "would replace those" in " ".join(err.split())
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert not (photos / "detections.json").exists()
    words = ("detect", model, *places, "--out", photos, "--no-pictures", "--json")
    assert json.loads(command(*words)[1])["num_images"] == 2


def test_other_photographs_are_not_replaced_either(command, model, photos):
    """`night/1.jpg` would be drawn over `pictures/1.jpg`, which is not looked at."""
    (photos / "day").rename(photos / "pictures")
    before = (photos / "pictures/1.jpg").read_bytes()
    code, _, err = command("detect", model, photos / "night", "--out", photos)
    assert code == 2 and "choose another --out" in " ".join(err.split())
    assert (photos / "pictures/1.jpg").read_bytes() == before


def test_labels_in_the_place_of_results_are_kept(command, model, photos, tmp_path):
    labels = tmp_path / "detections.json"
    labels.write_text('{"images": [], "annotations": []}')
    code, _, err = command("detect", model, photos, "--out", tmp_path)
    assert code == 2 and "holds something else" in " ".join(err.split())
    assert labels.read_text().startswith('{"images"') and not (tmp_path / "pictures").exists()


def test_pictures_of_one_name_above_and_below_stay_two(command, model, photos, monkeypatch):
    (photos / "here").mkdir()
    (photos / "night").rename(photos / "here/day")
    monkeypatch.chdir(photos / "here")
    code, printed, err = command("detect", model, "day", "../day/1.jpg", "--out", "found", "--json")
    assert code == 0, err
    drawn = list((photos / "here/found/pictures").rglob("*.jpg"))
    assert len(drawn) == json.loads(printed)["num_images"] == 2


def test_pictures_of_an_earlier_call_are_counted(command, tmp_path, model, photos):
    for place, told in ((photos, False), (photos / "day", True)):
        code, _, err = command("detect", model, place, "--out", tmp_path / "found")
        assert code == 0
        assert ("pictures of earlier calls" in " ".join(err.split())) == told


def test_the_help_names_the_extra(command):
    code, printed, _ = command("detect", "--help")
    assert code == 0 and "keras-hkd[video]" in "".join(printed.split())


def test_table(command, tmp_path, model, photos):
    code, printed, _ = command("detect", model, photos / "day", "--out", tmp_path / "found")
    assert code == 0
    assert "detections" in printed and "4" in printed


@pytest.mark.parametrize("asked, told", [(0.1, True), (0.3, False)])
def test_a_file_that_leaves_more_out_than_asked_for_says_so(
    command, tmp_path, model, photos, monkeypatch, asked, told
):
    """As a .tflite file does whose threshold is part of the file."""
    monkeypatch.setattr(BlackBoxDetector, "nms", True, raising=False)
    monkeypatch.setattr(BlackBoxDetector, "score_threshold", 0.2)
    words = ("--out", tmp_path / "found", "--score-threshold", asked)
    code, _, err = command("detect", model, photos / "day", *words)
    assert code == 0
    assert ("leaves out what scores 0.2 or less" in " ".join(err.split())) == told


def test_score_threshold_and_no_pictures(command, tmp_path, model, photos):
    out = tmp_path / "found"
    options = ("--out", out, "--score-threshold", 0.5, "--no-pictures", "--json")
    code, printed, _ = command("detect", model, photos / "day/1.jpg", *options)
    assert code == 0
    (result,) = json.loads((out / "detections.json").read_text())
    assert result["image_id"] == 1
    assert result["score"] == pytest.approx(0.9)
    assert json.loads(printed)["pictures"] is None
    assert not (out / "pictures").exists()


def test_damaged_pictures(command, tmp_path, model, photos):
    (photos / "day/3.jpg").write_bytes(b"no picture")
    options = ("--out", tmp_path / "found", "--json")
    code, printed, err = command("detect", model, photos, *options)
    assert code == 2
    assert printed == "" and "3.jpg" in err
    code, printed, err = command("detect", model, photos, *options, "--on-bad-data", "skip")
    assert code == 0
    assert json.loads(printed)["num_skipped"] == 1
    assert "3.jpg" in err


def test_bad_input(command, tmp_path, model, photos):
    (tmp_path / "empty").mkdir()
    out = ("--out", tmp_path / "found")
    for arguments, word in [
        ((model,), "Missing argument"),
        ((tmp_path / "none.keras", photos, *out), "none.keras"),
        ((model, tmp_path / "nowhere", *out), "nowhere"),
        ((model, tmp_path / "empty", *out), "There is no image"),
        ((model, photos, *out, "--image-size", "x"), "--image-size"),
        ((model, photos, *out, "--score-threshold", 2), "score-threshold"),
    ]:
        code, printed, err = command("detect", *arguments, "--json")
        assert code == 2
        assert printed == ""
        assert word in err


def test_pictures_that_are_left_out_are_named_and_counted(command, tmp_path, model, photos):
    """Kinds that are not opened, and those that this installation does not open."""
    (photos / "day/4.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    (photos / "day/5.cr2").write_bytes(b"raw")
    (photos / "day/notes.txt").write_text("no picture")
    Image.new("RGB", (64, 64)).save(photos / "day/6.jfif", "JPEG")
    Image.new("RGB", (64, 64)).save(photos / "day/7.gif")
    options = ("--out", tmp_path / "found", "--json")
    code, printed, err = command("detect", model, photos, *options)
    assert code == 0, err
    summary = json.loads(printed)
    assert (summary["num_images"], summary["num_skipped"]) == (5, 2)
    assert "4.HEIC" in err and "5.cr2" in err and "notes.txt" not in err


@pytest.fixture
def many_photos(tmp_path):
    """Eleven pictures, every third of nobody."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(11):
        grey = 255 if number % 3 == 0 else 10 * number
        Image.new("RGB", (64 + number, 64), (grey,) * 3).save(folder / f"{number}.png")
    return folder


def test_four_shards_joined_are_one_run_byte_for_byte(command, tmp_path, model, many_photos):
    words = ("detect", model, many_photos, "--batch-size", 2, "--json")
    code, printed, err = command(*words, "--out", tmp_path / "one")
    assert code == 0, err
    one = json.loads(printed)
    for number in (2, 4, 1, 3):
        code, printed, err = command(*words, "--out", tmp_path / "four", "--shard", f"{number}/4")
        assert code == 0, err
        assert json.loads(printed)["shard"] == f"{number}/4"
        assert not (tmp_path / "four" / "detections.json").exists()
    code, printed, err = command(*words, "--out", tmp_path / "four")
    assert code == 0, err
    four = json.loads(printed)
    same = ("num_images", "num_detections", "num_skipped")
    assert [four[name] for name in same] == [one[name] for name in same] == [11, 14, 0]
    contents = [(tmp_path / name / "detections.json").read_bytes() for name in ("one", "four")]
    assert contents[0] == contents[1]
    pictures = [
        sorted(p.name for p in (tmp_path / n / "pictures").glob("*.png")) for n in ("one", "four")
    ]
    assert pictures[0] == pictures[1] and len(pictures[0]) == 11


def test_a_killed_shard_goes_on(command, tmp_path, model, many_photos, monkeypatch):
    seen, predict = [], BlackBoxDetector.predict_on_batch

    def until_killed(self, images):
        if len(seen) == 3:
            raise KeyboardInterrupt
        seen.append(len(images))
        return predict(self, images)

    words = ("detect", model, many_photos, "--batch-size", 2, "--out", tmp_path / "found")
    with monkeypatch.context() as patch:
        patch.setattr(BlackBoxDetector, "predict_on_batch", until_killed)
        assert command(*words, "--shard", "1/1")[0] != 0
    parts = tmp_path / "found" / "parts"
    assert len(list(parts.glob("part-*.json"))) == 3
    del seen[:]

    def counted(self, images):
        seen.append(len(images))
        return predict(self, images)

    monkeypatch.setattr(BlackBoxDetector, "predict_on_batch", counted)
    assert command(*words, "--shard", "1/1")[0] == 0
    assert len(seen) == 3
    assert command(*words)[0] == 0 and len(seen) == 3
    assert len(json.loads((tmp_path / "found" / "detections.json").read_text())) == 14


def test_shards_of_another_run_are_refused(command, tmp_path, model, many_photos):
    words = ("detect", model, many_photos, "--out", tmp_path / "found")
    assert command(*words, "--shard", "1/2")[0] == 0
    code, _, err = command(*words, "--shard", "2/2", "--score-threshold", 0.5)
    assert code == 2 and "score_threshold was 0.3 and is now 0.5" in err
    code, _, err = command(*words, "--shard", "2/2", "--no-pictures")
    assert code == 2 and "pictures was true and is now false" in err.lower()
    other = sorted(many_photos.rglob("*.*g"))[0]
    os.utime(other, ns=(1, 1))  # another picture of as many bytes
    code, _, err = command(*words, "--shard", "2/2")
    assert code == 2 and "images was" in err
    code, _, err = command(*words, "--shard", "3/2")
    assert code == 2 and "I-th of N shares" in err


def test_a_folder_of_others_called_parts_makes_no_shards(command, tmp_path, model, many_photos):
    (tmp_path / "found" / "parts").mkdir(parents=True)
    (tmp_path / "found" / "parts" / "wheel.txt").write_text("mine")
    words = ("detect", model, many_photos, "--out", tmp_path / "found")
    assert command(*words)[0] == 0
    code, _, err = command(*words, "--shard", "1/2")
    assert code == 2 and "wheel.txt" in err
    assert [path.name for path in (tmp_path / "found" / "parts").iterdir()] == ["wheel.txt"]
