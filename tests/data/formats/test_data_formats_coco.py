"""COCO: a small file worked out by hand, and each way in which it can be wrong."""

import copy
import gzip
import json

import pytest

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.loading import load_dataset

CONTENT = {
    "images": [
        {"id": 10, "file_name": "a.jpg", "width": 100, "height": 50, "split": "train"},
        {"id": 11, "file_name": "b.jpg", "width": 20, "height": 30},
    ],
    "categories": [{"id": 3, "name": "car"}, {"id": 5, "name": "Pedestrian"}],
    "annotations": [
        {"id": 1, "image_id": 10, "category_id": 5, "bbox": [10, 5, 20, 40]},
        {"id": 2, "image_id": 10, "category_id": 3, "bbox": [0, 0, 50, 50]},
        {"id": 3, "image_id": 10, "category_id": 5, "bbox": [90.5, 0, 20, 10.25], "iscrowd": 1},
        {"id": 4, "image_id": 10, "category_id": 5, "bbox": [1, 2, 3, 4], "ignore": 1},
        {"id": 5, "image_id": 10, "category_id": 5, "bbox": [10, 5, 20, 40]}
        | {"vis_bbox": [10, 5, 20, 10]},
    ],
}


def stored(folder, content=CONTENT, name="annotations.json"):
    text = json.dumps(content).encode()
    (folder / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return folder / name


def load(path, **options):
    return load_dataset(path, check_images=False, **options)


@pytest.mark.parametrize("name", ["annotations.json", "annotations.json.gz", "instances_x.json"])
def test_worked_example(tmp_path, name):
    file = stored(tmp_path, name=name)
    for path in (file, tmp_path):
        dataset = load(path)
        assert dataset.format == "coco" and dataset.class_names == ("person",)
        first, second = dataset
        assert (first.image_id, first.width, first.height) == (10, 100, 50)
        person = [10, 5, 30, 45]
        assert first.boxes.tolist() == [person, [90.5, 0, 110.5, 10.25], [1, 2, 4, 6], person]
        assert first.ignore.tolist() == [False, True, True, False]
        assert first.visible_boxes[3].tolist() == [10, 5, 30, 15]
        assert first.visible_boxes[0].tolist() == person
        assert dataset.has_visible_boxes
        assert second.num_boxes == 0


def test_other_classes_can_be_wanted(tmp_path):
    dataset = load(stored(tmp_path), class_names=("car", "person"))
    assert dataset[0].classes.tolist() == [1, 0, 1, 1, 1]


@pytest.mark.parametrize(
    "file, folder", [("a.json", "images"), ("a.json", "."), ("annotations/x_val.json", "val")]
)
def test_images_are_found(tmp_path, file, folder):
    for one in (file, f"{folder}/a.jpg"):
        (tmp_path / one).parent.mkdir(exist_ok=True)
        (tmp_path / one).touch()
    first, second = load(stored(tmp_path, name=file))
    assert first.image_path == str((tmp_path / folder / "a.jpg").resolve())
    assert second.image_path == ""


def test_several_files_in_a_folder_must_be_named(tmp_path):
    stored(tmp_path, name="one.json")
    stored(tmp_path, name="two.json")
    (tmp_path / "results.json").write_text("[]")
    with pytest.raises(BadDataError, match="name one of them, .* Received: one.json, two.json"):
        load(tmp_path)


def change(path, value):
    """Give the content with one place changed."""
    content = copy.deepcopy(CONTENT)
    target = content
    for key in path[:-1]:
        target = target[key]
    if value is KeyError:
        del target[path[-1]]
    else:
        target[path[-1]] = value
    return content


RECORD_CASES = [
    (
        ("images", 1, "id"),
        10,
        r"images\[1\]: each image id must be used once: .* Received: 10 again",
    ),
    (
        ("images", 1, "file_name"),
        "a.jpg",
        "each image file name must be used once: .* Received: 'a.jpg'",
    ),
    (("images", 1, "width"), 0, "the annotations do not state its size"),
    (("images", 1, "height"), "tall", "height must be a whole number .* Received: 'tall'"),
    (("images", 1, "width"), KeyError, "the annotations do not state its size"),
    (("images", 1, "id"), 1.5, "id must be a whole number or text"),
    (("images", 1, "id"), True, "id must be a whole number or text"),
    (("images", 1), [], r"images\[1\]: an image must be an object"),
    (("images", 1, "split"), 5, "split must be text"),
    (("categories", 0, "name"), 7, r"categories\[0\]: a category's name must be text"),
    (("categories", 1, "id"), 3, "each category id must be used once"),
    (("annotations", 0, "id"), 2, r"annotations\[1\] \(id 2\): each annotation id"),
    (
        ("annotations", 0, "image_id"),
        99,
        "image_id must be the id of one of the file's images",
    ),
    (("annotations", 0, "category_id"), 99, "category_id must be the id of one of the file's"),
    (("annotations", 0, "bbox"), KeyError, "must have the key 'bbox'"),
    (("annotations", 0, "bbox"), [1, 2, 3], "the box must be four numbers"),
    (("annotations", 0, "bbox"), [1, 2, float("nan"), 4], "finite number of pixels. Received: nan"),
    (("annotations", 0, "bbox"), [1, 2, 10**400, 4], "must be a number"),
    (("annotations", 0, "bbox"), [1, 2, 3, 0], "height above 0: .* Received: 0"),
    (("annotations", 0, "bbox"), [200, 2, 3, 4], "wholly outside"),
    (("annotations", 0, "iscrowd"), 2, "iscrowd must be 0 or 1. Received: 2"),
    (("annotations", 0, "ignore"), "yes", "ignore must be 0 or 1"),
    (("annotations", 0, "vis_bbox"), "x", "the visible box must be four numbers"),
]


@pytest.mark.parametrize("path, value, message", RECORD_CASES)
def test_bad_records_raise_or_are_skipped(tmp_path, path, value, message):
    file = stored(tmp_path, change(path, value))
    with pytest.raises(BadDataError, match=rf"annotations.json: .*{message}"):
        load(file)
    # a category left out may leave no person: the file still defines the classes it was asked for
    dataset = load(file, on_bad_data="skip", class_names=("person", "car"))
    assert len(dataset.skipped) >= 1 and dataset.skipped[0].file == str(file)


WHOLE_CASES = [
    ([], r"expected a COCO object .* Received: \[\]"),
    ({"images": []}, "Received: no annotations"),
    (change(("annotations",), {}), r"Received: annotations = \{\}"),
    (change(("images",), []) | {"annotations": []}, "expected at least one image. Received: none"),
    (
        change(("categories",), [{"id": 3, "name": "car"}]) | {"annotations": []},
        "Received: only car",
    ),
]


@pytest.mark.parametrize("content, message", WHOLE_CASES)
@pytest.mark.parametrize("on_bad_data", ["raise", "skip"])
def test_a_file_bad_as_a_whole_raises_in_both_modes(tmp_path, content, message, on_bad_data):
    with pytest.raises(BadDataError, match=message):
        load(stored(tmp_path, content), on_bad_data=on_bad_data)


def test_an_image_left_out_takes_its_boxes_with_it(tmp_path):
    dataset = load(stored(tmp_path, change(("images", 0, "width"), -1)), on_bad_data="skip")
    assert [a.image_id for a in dataset] == [11]
    assert len(dataset.skipped) == 1  # its five boxes are not counted as of an unknown image


NO_AMBIGUITY = [
    (("images", 0, "id"), "10"),
    (("images", 0, "id"), 10.0),
    (("images", 0, "height"), "50"),
    (("images", 0, "width"), 100.0),
    (("categories", 1, "id"), "5"),
    (("annotations", 0, "image_id"), "10"),
    (("annotations", 0, "category_id"), "5"),
    (("annotations", 0, "category_id"), 5.0),
    (("annotations", 0, "id"), KeyError),
    (("annotations", 0, "id"), "a-b"),
    (("annotations", 0, "bbox"), ["10", 5, 20.0, "40"]),
    (("annotations", 0, "iscrowd"), "0"),
    (("annotations", 0, "iscrowd"), 0.0),
    (("annotations", 0, "iscrowd"), False),
    (("annotations", 0, "iscrowd"), None),
    (("annotations", 0, "area"), None),
    (("categories",), [*CONTENT["categories"], {"id": 5, "name": "Pedestrian"}]),
    (("images",), [*CONTENT["images"], CONTENT["images"][0]]),
    (("annotations",), [*CONTENT["annotations"], CONTENT["annotations"][0]]),
]


@pytest.mark.parametrize("path, value", NO_AMBIGUITY)
def test_what_can_mean_one_thing_only_is_read(tmp_path, path, value):
    dataset = load(stored(tmp_path, change(path, value)))
    assert len(dataset) == 2 and dataset[0].num_boxes == 4
    assert dataset[0].boxes[0].tolist() == [10, 5, 30, 45]
    assert dataset[0].ignore.tolist() == [False, True, True, False]


def test_what_is_known_of_boxes_is_kept(tmp_path):
    content = change(("annotations", 0, "occlusion"), 2)
    content["annotations"][4] |= {"vis_ratio": 0.75, "area": 90, "width": 640, "height": 480}
    (one, _) = load(stored(tmp_path, content))
    assert one.occlusion.tolist() == [2, 0, 0, 0] and one.visibility[3] == 0.75
    assert one.areas[3] == 90 and one.annotation_ids.tolist() == [1, 3, 4, 5]
    assert one.crowd.tolist() == [False, True, False, False]  # as COCO's own code has it


def test_the_files_own_ids_go_with_the_classes(tmp_path):
    dataset = load(stored(tmp_path), class_names=("person", "car", "bus"))
    assert dataset.category_ids == ((5,), (3,), (6,))  # 6 is nobody's
    assert dataset.classes_by_id == {5: 0, 3: 1, 6: 2}


@pytest.mark.parametrize(
    "ids, classes, num_boxes",
    [((5, 5), ("person",), 5), ((3, 5), ("5",), 4), ((3, 5), ("person=3,5",), 5)],
)
def test_without_categories_one_id_is_the_person_and_several_are_chosen_by_id(
    tmp_path, ids, classes, num_boxes
):
    content = change(("categories",), KeyError)
    for annotation in content["annotations"]:
        annotation["category_id"] = ids[annotation["category_id"] == 5]
    dataset = load(stored(tmp_path, content), class_names=classes)
    assert dataset.num_boxes == num_boxes
    if len(set(ids)) > 1:
        with pytest.raises(BadDataError, match=r"Received: only 5 \(4 boxes\), 3 \(1 boxes\)"):
            load(tmp_path)


def test_a_file_for_each_split(tmp_path):
    for split in ("train", "valid"):
        (tmp_path / split).mkdir()
        stored(tmp_path / split, change(("images", 0, "file_name"), f"{split}.jpg"), "x.json")
        (tmp_path / split / "x.json").rename(tmp_path / split / "_annotations.coco.json")
    for split in ("train", "valid"):
        assert load(f"{tmp_path}:{split}")[0].name == f"{split}.jpg"
    assert load(f"{tmp_path}:val")[0].name == "valid.jpg"
    with pytest.raises(BadDataError, match=f"as {tmp_path}:train or {tmp_path}:valid"):
        load(tmp_path)


def test_a_file_that_is_not_json_in_the_strict_sense(tmp_path):
    """Python writes NaN, which JSON has not; only the record that holds it is bad."""
    file = tmp_path / "annotations.json"
    file.write_text(json.dumps(change(("annotations", 0, "area"), float("nan"))))
    assert load(file)[0].num_boxes == 4
    file.write_text(json.dumps(change(("annotations", 0, "bbox"), [1, float("nan"), 3, 4])))
    with pytest.raises(BadDataError, match=r"\(id 1\): the box must be a finite number"):
        load(file)


@pytest.mark.parametrize("terminal", [True, False])
def test_of_many_boxes_a_bar_shows_how_far_they_are_read(tmp_path, monkeypatch, terminal):
    import io

    import rich.console

    import keras_hkd.progress
    from keras_hkd.data.formats import coco, text_files

    said = io.StringIO()
    console = rich.console.Console(file=said, force_terminal=terminal, width=100)
    monkeypatch.setattr(keras_hkd.progress, "error_console", lambda: console)
    monkeypatch.setattr(rich.console, "Console", lambda **_: console)
    monkeypatch.setattr(coco, "_MANY", 2)
    monkeypatch.setattr(text_files, "_LARGE_BYTES", 1)
    boxes = [{"id": n, "image_id": 1, "category_id": 1, "bbox": [n, 2, 5, 6]} for n in range(1, 6)]
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": boxes,
    }
    (tmp_path / "many.json").write_text(json.dumps(content))
    dataset = load_dataset(tmp_path / "many.json", check_images=False)
    assert dataset[0].boxes[:, 0].tolist() == [1, 2, 3, 4, 5]  # in order, none lost
    assert ("Reading many.json" in said.getvalue()) == terminal
    assert ("Reading boxes" in said.getvalue()) == terminal
