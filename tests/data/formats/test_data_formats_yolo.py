"""YOLO: a small folder worked out by hand, and each way in which it can be wrong."""

import numpy as np
import pytest
from PIL import Image

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.loading import load_dataset


def image(file, size=(100, 50)):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(file)
    return file


def label(file, text="0 0.2 0.5 0.2 0.8\n"):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


BOX = [10, 5, 30, 45]  # 0.2 +- 0.1 of 100, 0.5 +- 0.4 of 50


def test_worked_example(tmp_path):
    image(tmp_path / "images" / "a.jpg")
    image(tmp_path / "images" / "b.jpg")  # no label file: nobody there
    image(tmp_path / "results.png")  # a picture outside the image folder is none of the data
    file = label(tmp_path / "labels" / "a.txt", "1 0.5 0.5 0.1 0.1\n\n0 0.2 0.5 0.2 0.8\n")
    (tmp_path / "classes.txt").write_text("person\ncar\n")
    dataset = load_dataset(tmp_path)
    assert dataset.format == "yolo" and [a.image_id for a in dataset] == ["a", "b"]
    np.testing.assert_allclose(dataset[0].boxes, [BOX], rtol=1e-12)
    assert dataset[1].num_boxes == 0
    (tmp_path / "classes.txt").unlink()
    with pytest.raises(BadDataError, match="class numbers below 1"):
        load_dataset(file)
    (one,) = load_dataset(file, class_names=("person", "car"))
    assert one.classes.tolist() == [1, 0] and one.image_path.endswith("a.jpg")


@pytest.mark.parametrize("layout", ["{kind}/{split}", "{split}/{kind}"])
def test_splits_are_folders(tmp_path, layout):
    for split in ("train", "val"):
        image(tmp_path / layout.format(kind="images", split=split) / "a.jpg")
        label(tmp_path / layout.format(kind="labels", split=split) / "a.txt")
    (tmp_path / "data.yaml").write_text("names: {0: person}\ntrain: images/train\n")
    for source in (tmp_path, tmp_path / "data.yaml"):
        assert [a.image_id for a in load_dataset(source)] == ["train/a", "val/a"]
    (one,) = load_dataset(f"{tmp_path}:val")
    assert one.image_id == "val/a" and one.num_boxes == 1
    with pytest.raises(BadDataError, match=r"one of \['train', 'val'\]"):
        load_dataset(f"{tmp_path}:test")


def test_labels_beside_images(tmp_path):
    image(tmp_path / "a.jpg")
    label(tmp_path / "a.txt")
    label(tmp_path / "train.txt", "a.jpg")
    (one,) = load_dataset(tmp_path)
    np.testing.assert_allclose(one.boxes, [BOX], rtol=1e-12)


@pytest.mark.parametrize(
    "text, kept",
    [("names: [car, person]", 1), ("names: {1: pedestrian}", 1), ("names: [Person, car]", 0)],
)
def test_names_say_which_class_is_a_person(tmp_path, text, kept):
    image(tmp_path / "images" / "a.jpg")
    label(tmp_path / "labels" / "a.txt", "1 0.2 0.5 0.2 0.8\n")
    (tmp_path / "data.yaml").write_text(text)
    assert load_dataset(tmp_path).num_boxes == kept


@pytest.mark.parametrize(
    "line, message",
    [
        ("0 0.5 0.5 0.1", "must be: class x y width height .* got 4"),
        ("0 .1 .1 .2 .1 .2 .2", "outlines and scores are not read.* got 7"),
        ("0 0.5 0.5 0 0.1", "width above 0"),
        ("0 0.5 0.5 0.1 -0.1", "height above 0"),
        ("0 nan 0.5 0.1 0.1", "finite number"),
        ("0 x 0.5 0.1 0.1", "must be a number, got 'x'"),
        ("0 300 200 40 80", "wholly outside"),
        ("7 0.5 0.5 0.1 0.1", "one of the names file's .* got 7"),
        ("-1 0.5 0.5 0.1 0.1", "the class must be a whole number from 0"),
        ("0.5 0.5 0.5 0.1 0.1", "the class must be a whole number"),
    ],
)
def test_bad_lines_raise_or_are_skipped(tmp_path, line, message):
    image(tmp_path / "images" / "a.jpg")
    label(tmp_path / "labels" / "a.txt", f"0 0.2 0.5 0.2 0.8\n{line}\n")
    (tmp_path / "classes.txt").write_text("person\n")
    with pytest.raises(BadDataError, match=f"a.txt: line 2: .*{message}"):
        load_dataset(tmp_path)
    dataset = load_dataset(tmp_path, on_bad_data="skip")
    assert dataset.num_boxes == 1 and len(dataset.skipped) == 1


def test_a_label_without_an_image_is_bad(tmp_path):
    image(tmp_path / "images" / "a.jpg")
    label(tmp_path / "labels" / "a.txt")
    label(tmp_path / "labels" / "b.txt")
    with pytest.raises(BadDataError, match="b.txt: .*image file 'labels/b' must exist"):
        load_dataset(tmp_path)
    assert len(load_dataset(tmp_path, on_bad_data="skip")) == 1


def test_a_label_that_is_no_text_is_a_bad_image(tmp_path):
    image(tmp_path / "images" / "a.jpg")
    image(tmp_path / "images" / "b.jpg")
    label(tmp_path / "labels" / "b.txt")
    label(tmp_path / "labels" / "a.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadDataError, match="a.txt: the whole file: expected a readable"):
        load_dataset(tmp_path, format="yolo")
    assert [a.image_id for a in load_dataset(tmp_path, on_bad_data="skip")] == ["b"]


@pytest.mark.parametrize(
    "text", ["names: 5", "names: [1]", "names: []", "[]", "names: {x: a}", "a: ["]
)
def test_bad_names_raise_in_both_modes(tmp_path, text):
    image(tmp_path / "images" / "a.jpg")
    (tmp_path / "data.yaml").write_text(text)
    for on_bad_data in ("raise", "skip"):
        with pytest.raises(BadDataError, match="data.yaml"):
            load_dataset(tmp_path, on_bad_data=on_bad_data)
