"""`keras-hkd check`: what it prints and writes, and how it ends."""

import inspect
import json

import pytest
from PIL import Image

from keras_hkd.cli import check
from keras_hkd.data import synthetic_dataset
from keras_hkd.data.duplicate_images import NEAR_BITS


@pytest.fixture
def street(tmp_path):
    """Four pictures of two scenes; one box is tiny, one faulty."""
    folder = tmp_path / "street"
    (folder / "images").mkdir(parents=True)
    (folder / "splits").mkdir()
    scenes = synthetic_dataset(2, (100, 200), seed=5)
    boxes = [[10, 10, 20, 40], [50, 10, 2, 5], [70, 10, 0, 5]]
    content = {"images": [], "categories": [{"id": 1, "name": "person"}], "annotations": []}
    for number in range(4):
        name = f"{number}.png"
        Image.fromarray(scenes.load_image(number % 2)).save(folder / "images" / name)
        image = {"id": number, "file_name": name, "width": 200, "height": 100}
        content["images"].append(image)
    for number, box in enumerate(boxes, start=1):
        one = {"id": number, "image_id": 0, "category_id": 1, "bbox": box}
        content["annotations"].append(one)
    (folder / "annotations.json").write_text(json.dumps(content))
    for name, numbers in (("train", (0, 1)), ("val", (2, 3))):
        text = "".join(f"{number}.png\n" for number in numbers)
        (folder / "splits" / f"{name}.txt").write_text(text)
    return folder


def test_what_is_printed(command, street, tmp_path):
    code, printed, err = command("check", street, "--out", tmp_path / "out")
    assert code == 0, err
    assert "4 images, 2 person; 1 records skipped (1 x the box" in err
    for words in ("tiny", "in 2 groups", "records skipped", "index.html"):
        assert words in printed
    assert (tmp_path / "out" / "index.html").is_file()


def test_as_json_and_across_splits(command, street, tmp_path):
    words = ("check", f"{street}:train", f"{street}:val", "--out", tmp_path / "out", "--json")
    code, printed, err = command(*words, "--num-pictures", 1)
    assert code == 0, err
    found = json.loads(printed)
    assert found["images"] == 4 and found["skipped"] == 1
    assert found["duplicates"] == {"identical": 2, "near": 0}
    assert found["odd_boxes"]["tiny"] == 1 and sum(found["odd_boxes"].values()) == 1
    details = json.loads((tmp_path / "out" / "check.json").read_text())
    assert all(group["in_several_sources"] for group in details["duplicates"]["identical"])


def test_bad_input_ends_with_2(command, street, tmp_path):
    out = tmp_path / "out"
    for words, message in [
        ([street, "--on-bad-data", "raise"], "annotations[2] (id 3)"),
        ([street, "--class", "car"], "expected a class called car"),
        ([tmp_path / "none"], "exists"),
        ([street, street], "name each source once"),
        ([street, "--near-bits", 65], "--near-bits"),
    ]:
        code, printed, err = command("check", *words, "--out", out)
        assert code == 2 and not printed
        assert message in " ".join(err.split())
    assert not out.exists()


def test_the_help_teaches(command):
    code, printed, _ = command("check", "--help")
    assert code == 0
    printed = " ".join(printed.split())
    for words in ("keras-hkd check my_data:train my_data:val", "exit code is 0", "--class"):
        assert words in printed


def test_one_default():
    assert inspect.signature(check.command).parameters["near_bits"].default == NEAR_BITS
