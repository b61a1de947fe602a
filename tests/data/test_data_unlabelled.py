"""Images alone: folders of pictures, datasets whose labels are set aside."""

import json

import numpy as np
import pytest
from PIL import Image

from keras_hkd.data.annotations import BadDataError, ImageAnnotation
from keras_hkd.data.dataset import Dataset
from keras_hkd.data.drawn.scenes import synthetic_dataset
from keras_hkd.data.loading import is_dataset, load_dataset
from keras_hkd.data.unlabelled import load_unlabelled, without_labels


def save(path, width=40, height=30):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (200, 30, 30)).save(path)


@pytest.fixture
def folder(tmp_path):
    for name in ("b.jpg", "a.PNG", "inside/deep/b.jpg", ".hidden/c.jpg"):
        save(tmp_path / "pictures" / name)
    (tmp_path / "pictures" / "notes.txt").write_text("taken on a Sunday")
    return tmp_path / "pictures"


@pytest.fixture
def coco(tmp_path):
    """A COCO folder of three images with two splits."""
    root = tmp_path / "coco"
    for name in "abc":
        save(root / "images" / f"{name}.jpg")
    images = [
        {"id": i, "file_name": f"{name}.jpg", "width": 40, "height": 30}
        for i, name in enumerate("abc", 1)
    ]
    boxes = [{"id": i, "image_id": i, "category_id": 1, "bbox": [1, 1, 9, 20]} for i in (1, 2, 3)]
    content = {
        "images": images,
        "categories": [{"id": 1, "name": "person"}],
        "annotations": boxes,
    }
    (root / "annotations.json").write_text(json.dumps(content))
    (root / "splits").mkdir()
    (root / "splits" / "train.txt").write_text("a.jpg\nc.jpg\n")
    return root


def test_a_folder_of_pictures(folder):
    assert not is_dataset(folder)
    dataset = load_unlabelled(folder, class_names=("person", "rider"))
    assert [image.image_id for image in dataset] == ["a", "b", "inside/deep/b"]
    assert [(image.width, image.height) for image in dataset] == [(40, 30)] * 3
    assert (dataset.num_boxes, dataset.class_names) == (0, ("person", "rider"))
    assert dataset.load_image(2).shape == (30, 40, 3)


def test_labels_of_a_dataset_are_set_aside(coco):
    assert is_dataset(coco)
    assert is_dataset(f"{coco}:train")
    dataset = load_unlabelled(f"{coco}:train")
    assert [image.image_id for image in dataset] == [1, 3]
    assert dataset.num_boxes == 0
    assert load_dataset(f"{coco}:train").num_boxes == 2


def test_images_that_are_labelled_already_are_left_out(coco):
    labelled = load_dataset(f"{coco}:train")
    dataset = load_unlabelled(coco / "images", leave_out=labelled)
    assert [image.image_id for image in dataset] == ["b"]
    with pytest.raises(BadDataError, match="name another folder. Received: none"):
        load_unlabelled(coco, leave_out=load_dataset(coco))


def test_several_sources_and_drawn_scenes(folder, coco):
    dataset = load_unlabelled([folder, coco, "synthetic:x?num_images=2&height=64&width=64"])
    assert len(dataset) == 8
    assert dataset.num_boxes == 0
    assert dataset.load_image(7).shape == (64, 64, 3)


def test_pictures_survive_when_labels_go():
    scenes = synthetic_dataset(2, (64, 64), seed=3)
    bare = without_labels(scenes)
    assert (bare.num_boxes, len(bare)) == (0, 2)
    np.testing.assert_array_equal(bare.load_image(1), scenes.load_image(1))
    assert bare.content_hash != scenes.content_hash


def test_bad_input(folder, tmp_path):
    (folder / "torn.jpg").write_bytes((folder / "b.jpg").read_bytes()[:200])
    with pytest.raises(BadDataError, match="torn.jpg"):
        load_unlabelled(folder)
    dataset = load_unlabelled(folder, on_bad_data="skip")
    assert (len(dataset), len(dataset.skipped)) == (3, 1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadDataError, match="expected at least one image"):
        load_unlabelled(tmp_path / "empty")
    with pytest.raises(BadDataError, match="exists"):
        load_unlabelled(tmp_path / "absent")
    row = ImageAnnotation("", 1, 8, 8, [[1, 1, 4, 4]], [0])
    assert len(without_labels(Dataset((row,), ("person",), "", ""))[0].boxes) == 0
