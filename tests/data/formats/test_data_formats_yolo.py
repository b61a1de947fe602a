"""YOLO: a small folder worked out by hand, and each way in which it can be wrong."""

import json

import numpy as np
import pytest
from PIL import Image

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.loading import DataWarning, load_dataset


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
    assert [a.image_id for a in load_dataset(tmp_path)] == ["train/a", "val/a"]
    (one,) = load_dataset(f"{tmp_path}:val")
    assert one.image_id == "val/a" and one.num_boxes == 1
    with pytest.raises(BadDataError, match=r"one of 'train'.*'val' \(also as 'valid'"):
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
        ("0 0.5 0.5 0.1", "must be: class x y width height .* Received: 4"),
        ("0 .1 .1 .2 .1 .9", "scores are not read.* Received: 6"),
        ("0 .1 .1 .2 .1 .2 x", "a coordinate must be a number. Received: 'x'"),
        ("0 0.5 0.5 0 0.1", "width above 0"),
        ("0 0.5 0.5 0.1 -0.1", "height above 0"),
        ("0 nan 0.5 0.1 0.1", "finite number"),
        ("0 x 0.5 0.1 0.1", "must be a number. Received: 'x'"),
        ("0 1.6 0.5 0.2 0.2", "wholly outside"),
        ("7 0.5 0.5 0.1 0.1", "one of the names file's .* Received: 7"),
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


def tree(folder, **texts):
    """Write files: a picture where there is no text. Names have `__` for the slash."""
    for name, text in texts.items():
        stem, _, suffix = name.replace("__", "/").rpartition("_")
        file = folder / f"{stem}.{suffix}"
        image(file) if text is None else label(file, text)
    return folder


LISTS = {
    "data.yaml": "names: [car, person]",
    "anything.yml": "names: {0: car, 1: person}\nnc: 2",
    "as_text.yaml": "names: {'0': car, '1': person}",
    "classes.txt": "car\nperson\n",
    "obj.names": "car\nperson",
    "people.names": "car\nperson",
    "train/_darknet.labels": "car\nperson",
    "labels/classes.txt": "car\nperson",
    "labels/train/classes.txt": "car\nperson",
    "notes.json": json.dumps(
        {"categories": [{"id": 0, "name": "car"}, {"id": 1, "name": "person"}]}
    ),
}


@pytest.mark.parametrize("name", LISTS)
def test_class_lists_of_all_kinds_and_places(tmp_path, name):
    image(tmp_path / "images" / "train" / "a.jpg")
    label(tmp_path / "labels" / "train" / "a.txt", "0 0.5 0.5 0.1 0.1\n1 0.2 0.5 0.2 0.8\n")
    label(tmp_path / name, LISTS[name])
    (one,) = load_dataset(tmp_path)
    np.testing.assert_allclose(one.boxes, [BOX], rtol=1e-12)
    assert load_dataset(tmp_path).findings.left_out == {"car": 1}
    (one,) = load_dataset(tmp_path / "images" / "train")
    assert one.num_boxes == 1 or name == "train/_darknet.labels"


def test_lists_that_differ_are_refused(tmp_path):
    image(tmp_path / "images" / "a.jpg")
    label(tmp_path / "one.yaml", "names: [person]")
    label(tmp_path / "two.yaml", "names: [face]")
    label(tmp_path / "settings.yaml", "epochs: 3")
    with pytest.raises(BadDataError, match="several that differ, in .*one.yaml, .*two.yaml"):
        load_dataset(tmp_path)
    with pytest.warns(DataWarning, match="no box of person"):
        assert len(load_dataset(tmp_path / "one.yaml")) == 1


def test_without_a_list_class_0_is_said_to_be_the_person(tmp_path):
    tree(tmp_path, images__a_jpg=None, labels__a_txt="0 0.2 0.5 0.2 0.8")
    with pytest.warns(DataWarning, match="no class list found, class 0 taken for person"):
        assert load_dataset(tmp_path).num_boxes == 1
    label(tmp_path / "labels" / "a.txt", "3 0.2 0.5 0.2 0.8")
    with pytest.raises(BadDataError, match=r"--class person=0\. Received: \[3\]"):
        load_dataset(tmp_path)
    dataset = load_dataset(tmp_path, class_names="person=3")
    assert dataset.num_boxes == 1 and dataset.category_ids == ((4,),)


YAML = """\
path: {path}
train: {train}
val: {val}
names: [person]
"""


@pytest.mark.parametrize(
    "path, train, val",
    [
        ("ped", "images/train", "images/val"),
        ("../datasets/ped", "images/train", "images/val"),
        ("/moved/away/ped", "images/train", "images/val"),
        ("", "ped/images/train", "ped/images/val"),
        ("", "../ped/images/train", "../ped/images/val"),
        ("ped", "[images/train]", "val.txt"),
        ("ped", "images/train/a.jpg", "lists.txt"),
    ],
)
def test_a_yaml_file_reads_its_own_images_only(tmp_path, path, train, val):
    base = tmp_path / "datasets"
    for name in ("ped", "faces"):
        for split in ("train", "val"):
            image(base / name / "images" / split / f"{split[0]}.jpg")
            label(base / name / "labels" / split / f"{split[0]}.txt")
    image(base / "ped" / "images" / "train" / "a.jpg")
    (base / "ped" / "images" / "train" / "t.jpg").unlink()
    label(base / "ped" / "labels" / "train" / "a.txt")
    label(base / "ped" / "val.txt", "./images/val/v.jpg\n\n")
    label(base / "ped" / "lists.txt", "images\\val\\v.jpg\n")
    label(base / "ped.yaml", YAML.format(path=path or "''", train=train, val=val))
    dataset = load_dataset(base / "ped.yaml")
    assert [one.file_name for one in dataset] == ["a.jpg", "v.jpg"] and dataset.num_boxes == 2
    (one,) = load_dataset(f"{base / 'ped.yaml'}:val")
    assert one.file_name == "v.jpg"


def test_a_split_that_is_not_there_is_said(tmp_path):
    tree(tmp_path, train__images__a_jpg=None, train__labels__a_txt="0 0.2 0.5 0.2 0.8")
    file = label(tmp_path / "data.yaml", YAML.format(path=".", train="../train/images", val="../v"))
    assert "not there of data.yaml: val: ../v" in load_dataset(file).summary
    file.write_text(YAML.format(path=".", train="/x/y", val="/x/z"))
    dataset = load_dataset(file)
    assert len(dataset) == 1 and "its whole folder was read" in dataset.summary


def test_a_list_that_names_no_image_is_bad(tmp_path):
    tree(tmp_path, images__a_jpg=None, labels__a_txt="0 0.2 0.5 0.2 0.8", val_txt="images/b.jpg")
    file = label(tmp_path / "data.yaml", YAML.format(path=".", train="images", val="val.txt"))
    with pytest.raises(BadDataError, match="val.txt: line 1: must name an image that exists"):
        load_dataset(file)
    assert len(load_dataset(file, on_bad_data="skip").skipped) == 1


@pytest.mark.parametrize(
    "line, bounds",
    [
        ("0 .1 .1 .3 .1 .3 .9 .1 .9", [10, 5, 30, 45]),  # a turned box: four corners
        ("0 0.1 0.5 0.2 0.1 0.3 0.5 0.2 0.9", [10, 5, 30, 45]),
        ("0 0.1 0.1 0.3 0.9 0.2 0.5", [10, 5, 30, 45]),
    ],
)
def test_outlines_become_their_bounds(tmp_path, line, bounds):
    tree(tmp_path, images__a_jpg=None, labels__a_txt=f"0 0.2 0.5 0.2 0.8\n{line}\n")
    label(tmp_path / "classes.txt", "person")
    dataset = load_dataset(tmp_path)
    np.testing.assert_allclose(dataset[0].boxes, [BOX, bounds], rtol=1e-12)
    assert "1 outlines taken by their bounds" in dataset.summary


def test_poses_count_by_their_box(tmp_path):
    tree(tmp_path, images__a_jpg=None, labels__a_txt="0 0.2 0.5 0.2 0.8 .1 .1 2 .3 .2 1\n")
    label(tmp_path / "data.yaml", "names: [person]\nkpt_shape: [2, 3]")
    np.testing.assert_allclose(load_dataset(tmp_path)[0].boxes, [BOX], rtol=1e-12)


def test_only_files_of_the_label_folder_are_labels_where_there_is_one(tmp_path):
    tree(tmp_path, images__a_jpg=None, labels__a_txt="0 0.2 0.5 0.2 0.8", notes_txt="0 1 2 3 4")
    label(tmp_path / "train2017.txt", "./images/a.jpg")
    label(tmp_path / "autosplit_train.txt", "./images/a.jpg")
    label(tmp_path / "classes.txt", "person")
    assert len(load_dataset(tmp_path)) == 1
    (one,) = load_dataset(f"{tmp_path}:train2017")
    assert one.num_boxes == 1


def test_notes_beside_the_images_are_no_labels(tmp_path):
    tree(tmp_path, data__a_jpg=None, data__a_txt="0 0.2 0.5 0.2 0.8", to_do_txt="ask again")
    label(tmp_path / "obj.names", "person")
    label(tmp_path / "train.txt", "elsewhere/data/a.jpg\n")
    assert load_dataset(tmp_path).num_boxes == 1
    assert load_dataset(f"{tmp_path}:train").num_boxes == 1
    label(tmp_path / "data" / "b.txt", "0 0.2 0.5 0.2 0.8")
    with pytest.raises(BadDataError, match="image file 'data/b' must exist"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("images, labels", [("Images", "Labels"), ("IMAGES", "LABELS")])
def test_folders_in_capitals(tmp_path, images, labels):
    image(tmp_path / images / "Train" / "a.JPG")
    label(tmp_path / labels / "Train" / "a.txt")
    label(tmp_path / "classes.txt", "person")
    (one,) = load_dataset(tmp_path)
    assert one.num_boxes == 1 and one.image_id == "Train/a"


def test_images_without_labels_are_counted(tmp_path):
    tree(tmp_path, images__a_jpg=None, images__b_jpg=None, labels__a_txt="0 0.2 0.5 0.2 0.8")
    label(tmp_path / "classes.txt", "person")
    assert "1 of 2 images have no label file" in load_dataset(tmp_path).summary


def test_pictures_outside_the_folders_of_images_count_where_labels_lie_beside_them(tmp_path):
    text = "0 0.2 0.5 0.2 0.8"
    tree(tmp_path, day__images__a_jpg=None, day__labels__a_txt=text, plot_png=None)
    tree(tmp_path, night__b_jpg=None, night__b_txt=text, night__c_jpg=None)
    label(tmp_path / "classes.txt", "person")
    dataset = load_dataset(tmp_path)
    assert [annotation.image_id for annotation in dataset] == ["day/a", "night/b"]
    assert dataset.num_boxes == 2
    assert "2 pictures without labels lie outside the folders of images" in dataset.summary


@pytest.mark.parametrize("line", ["0 390.1 218.1 218.7 346.7", "0 60 40 30 50"])
def test_pixels_and_per_cent_are_told_from_shares(tmp_path, line):
    tree(tmp_path, images__a_jpg=None, labels__a_txt=line, classes_txt="person")
    with pytest.raises(BadDataError, match="shares of the picture, from 0 to 1.*look like pixels"):
        load_dataset(tmp_path)
