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
        assert first.boxes.tolist() == [person, [90.5, 0, 100, 10.25], [1, 2, 4, 6], person]
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
    with pytest.raises(BadDataError, match="one.json, two.json: name one"):
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
    (("images", 1, "id"), 10, r"images\[1\]: each image id must be used once, got 10 again"),
    (("images", 1, "file_name"), "a.jpg", "each image file name must be used once, got 'a.jpg'"),
    (("images", 1, "width"), 0, "width must be a whole number from 1 .* got 0"),
    (("images", 1, "height"), "30", "height must be a whole number .* got '30'"),
    (("images", 1, "width"), KeyError, "must have the key 'width'"),
    (("images", 1, "id"), 1.5, "id must be a whole number or text"),
    (("images", 1, "id"), True, "id must be a whole number or text"),
    (("images", 1), [], r"images\[1\]: an image must be an object"),
    (("images", 1, "split"), 5, "split must be text"),
    (("categories", 0, "name"), None, r"categories\[0\]: a category's name must be text"),
    (("categories", 1, "id"), 3, "each category id must be used once"),
    (("annotations", 0, "id"), 2, r"annotations\[1\]: each annotation id"),
    (("annotations", 0, "id"), KeyError, r"annotations\[0\]: must have the key 'id'"),
    (
        ("annotations", 0, "image_id"),
        99,
        "image_id must be the id of one of the file's images",
    ),
    (("annotations", 0, "category_id"), 99, "category_id must be the id of one of the file's"),
    (("annotations", 0, "bbox"), KeyError, "must have the key 'bbox'"),
    (("annotations", 0, "bbox"), [1, 2, 3], "the box must be four numbers"),
    (("annotations", 0, "bbox"), [1, 2, float("nan"), 4], "finite number of pixels, got nan"),
    (("annotations", 0, "bbox"), [1, 2, 10**400, 4], "must be a number"),
    (("annotations", 0, "bbox"), [1, 2, 3, 0], "height above 0, got 0"),
    (("annotations", 0, "bbox"), [200, 2, 3, 4], "wholly outside"),
    (("annotations", 0, "iscrowd"), 2, "iscrowd must be 0 or 1, got 2"),
    (("annotations", 0, "ignore"), "1", "ignore must be 0 or 1"),
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
    ([], r"expected a COCO object .* got \[\]"),
    ({"images": []}, "got no categories"),
    (change(("annotations",), {}), r"got annotations = \{\}"),
    (change(("images",), []) | {"annotations": []}, "expected at least one image, got none"),
    (change(("categories",), [{"id": 3, "name": "car"}]) | {"annotations": []}, r"only \['car'\]"),
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
