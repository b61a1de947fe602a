"""Datasets as COCO JSON: what is written, and that reading it gives the same dataset."""

import contextlib
import gzip
import io
import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from keras_hkd.data import (
    BadDataError,
    Dataset,
    ImageAnnotation,
    load_boxes,
    load_dataset,
    save_coco,
)
from keras_hkd.data.annotations import COLUMNS

WORKED = ImageAnnotation(
    "",
    7,
    640,
    480,
    boxes=[[10, 20, 40, 100], [-5, 400, 25.5, 500], [100, 100, 300, 200]],
    classes=[0, 0, 1],
    ignore=[False, True, True],
    visible_boxes=[[10, 20, 40, 60], [-5, 400, 25.5, 500], [100, 100, 100, 100]],
    name="set00/a.jpg",
    crowd=[False, False, True],
    visibility=[0.5, 1.0, 0.0],
    occlusion=[1, 0, 2],
    areas=[1234.5, 3050, 20000],
    annotation_ids=[31, 5, 900],
)


def dataset_of(*images, names=("person", "car"), ids=((3,), (18, 44)), format="coco"):
    return Dataset(images, names, "here", format, category_ids=ids)


def written(dataset, folder, **options):
    return json.loads(save_coco(dataset, folder / "out.json", **options).path.read_bytes())


def test_worked_example(tmp_path):
    content = written(dataset_of(WORKED), tmp_path)
    assert content["images"] == [{"id": 7, "file_name": "set00/a.jpg", "width": 640, "height": 480}]
    assert content["categories"] == [{"id": 3, "name": "person"}, {"id": 18, "name": "car"}]
    first, second, third = content["annotations"]
    assert first == {
        **{"id": 31, "image_id": 7, "category_id": 3, "bbox": [10, 20, 30, 80], "area": 1234.5},
        **{"iscrowd": 0, "ignore": 0, "vis_bbox": [10, 20, 30, 40], "vis_ratio": 0.5},
        "occlusion": 1,
    }
    assert second["bbox"] == [-5, 400, 30.5, 100] and "vis_bbox" not in second
    assert (second["iscrowd"], second["ignore"]) == (0, 1)
    assert (third["iscrowd"], third["ignore"], third["category_id"]) == (1, 1, 18)
    assert third["vis_bbox"] == [100, 100, 0, 0]


def test_what_is_not_known_is_left_out(tmp_path):
    image = ImageAnnotation("", "a", 64, 48, [[1, 2, 4, 6]], [0], ignore=[True])
    content = written(dataset_of(image, names=("person",), ids=(), format="voc"), tmp_path)
    assert content["images"][0]["id"] == 1  # its name is no id
    (box,) = content["annotations"]
    assert box == {
        **{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "area": 12},
        **{"iscrowd": 1, "ignore": 1},
    }


@pytest.mark.parametrize(
    "ids, kept, note",
    [
        ([5, 2], True, None),
        ([0, 1], False, "pycocotools"),
        ([4, 4], False, "not all have an id of their own"),
        (None, False, None),
    ],
)
def test_ids_of_boxes(tmp_path, ids, kept, note):
    boxes = [[1, 2, 4, 6], [1, 2, 9, 9]]
    image = ImageAnnotation("", 1, 64, 48, boxes, [0, 0], annotation_ids=ids)
    found = save_coco(dataset_of(image), tmp_path / "out.json")
    content = json.loads(found.path.read_text())
    assert [one["id"] for one in content["annotations"]] == (ids if kept else [1, 2])
    assert (note or "") in "".join(found.notes) and bool(found.notes) == bool(note)


def test_text_ids_of_a_coco_file_stay(tmp_path):
    image = ImageAnnotation("", "set00_V000", 64, 48, [[1, 2, 4, 6]], [0], name="a.jpg")
    assert written(dataset_of(image), tmp_path)["images"][0]["id"] == "set00_V000"


SIDES = st.one_of(
    st.integers(1, 500).map(float),
    st.floats(0.01, 500, allow_nan=False),
    st.integers(1, 50_000).map(lambda hundredths: hundredths / 100),
)


@st.composite
def images(draw, image_id):
    """An image with boxes of all kinds, each column known or not."""
    width, height = draw(st.integers(1, 2000)), draw(st.integers(1, 2000))
    count = draw(st.integers(0, 4))

    def column(values):
        return draw(st.none() | st.lists(values, min_size=count, max_size=count))

    corners, seen = [], []
    for _ in range(count):
        x, y = draw(st.floats(-100, width - 0.5)), draw(st.floats(-100, height - 0.5))
        w, h = max(draw(SIDES), 0.1 - x), max(draw(SIDES), 0.1 - y)
        corners.append([x, y, x + w, y + h])
        part = draw(st.sampled_from([0.0, 0.25, 1.0]))
        seen.append([x, y, x + w * part, y + h] if part < 1 else corners[-1])
    ignore = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    crowd = column(st.booleans())
    return ImageAnnotation(
        "",
        image_id,
        width,
        height,
        np.array(corners).reshape(-1, 4),
        draw(st.lists(st.integers(0, 1), min_size=count, max_size=count)),
        ignore,
        np.array(seen).reshape(-1, 4) if draw(st.booleans()) else None,
        f"day/{image_id}.jpg",
        crowd=None if crowd is None else np.logical_and(crowd, ignore),
        visibility=column(st.floats(0, 1)),
        occlusion=column(st.integers(0, 2)),
        areas=column(st.floats(0, 1e6)),
        annotation_ids=[image_id * 10 + row + 1 for row in range(count)] or None,
    )


DATASETS = st.lists(st.integers(0, 99), min_size=1, max_size=3, unique=True).flatmap(
    lambda ids: st.tuples(*(images(image_id) for image_id in ids))
)


def defaults(one):
    """The columns with their documented defaults in place of None."""
    sides = one.boxes[:, 2:] - one.boxes[:, :2]
    seen = one.visible_boxes[:, 2:] - one.visible_boxes[:, :2]
    known = {name: getattr(one, name) for name in COLUMNS}
    filled = {
        "crowd": one.ignore,
        "areas": sides.prod(axis=1),
        "visibility": seen.prod(axis=1) / sides.prod(axis=1),
        "occlusion": np.zeros(one.num_boxes),
        "annotation_ids": np.zeros(0),
    }
    return {n: filled[n] if v is None else v for n, v in known.items()}


@pytest.mark.filterwarnings("ignore::keras_hkd.data.DataWarning")
@settings(max_examples=60)
@given(images=DATASETS, packed=st.booleans())
def test_reading_gives_the_same_dataset(images, packed, tmp_path_factory):
    dataset = dataset_of(*images)
    path = tmp_path_factory.mktemp("out") / ("out.json.gz" if packed else "out.json")
    save_coco(dataset, path)
    again = load_boxes(path)
    assert again.class_names == dataset.class_names
    assert again.category_ids == ((3,), (18,))  # the first stands for all
    assert len(again) == len(dataset)
    for old, new in zip(dataset, again, strict=True):
        for name in ("image_id", "width", "height", "name"):
            assert getattr(new, name) == getattr(old, name)
        expected, found = defaults(old), defaults(new)
        for name in COLUMNS:
            np.testing.assert_allclose(found[name], expected[name], 1e-9, 1e-9, err_msg=name)


def test_a_coco_file_stays_as_it_is_to_the_last_digit(tmp_path):
    boxes = [[473.07, 395.93, 38.65, 28.67], [0.1, 0.2, 0.3, 0.7], [204.01, 235.08, 60.84, 177.36]]
    content = {
        "images": [{"id": 9, "file_name": "a.jpg", "width": 640, "height": 480}],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [
            {"id": n, "image_id": 9, "category_id": 1, "bbox": box, "iscrowd": 0}
            for n, box in enumerate(boxes, start=50)
        ],
    }
    (tmp_path / "in.json").write_text(json.dumps(content))
    again = written(load_boxes(tmp_path / "in.json"), tmp_path)
    assert [one["bbox"] for one in again["annotations"]] == boxes
    assert [one["id"] for one in again["annotations"]] == [50, 51, 52]


def test_pycocotools_reads_it(tmp_path):
    from pycocotools.coco import COCO

    path = save_coco(dataset_of(WORKED), tmp_path / "out.json").path
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(path))
    assert coco.getAnnIds(catIds=[3]) == [31, 5] and coco.getAnnIds(iscrowd=True) == [900]


@pytest.fixture
def pictures(tmp_path):
    """A YOLO folder of pictures in two folders, one without a box."""
    for number, name in enumerate(("day/a", "night/a", "night/b")):
        for kind in ("images", "labels"):
            (tmp_path / "yolo" / kind / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20 + number, 10)).save(tmp_path / "yolo" / "images" / f"{name}.png")
        text = "" if number == 2 else "0 0.5 0.5 0.25 0.5\n"
        (tmp_path / "yolo" / "labels" / f"{name}.txt").write_text(text)
    (tmp_path / "yolo" / "classes.txt").write_text("person\n")
    return tmp_path / "yolo"


def test_names_of_pictures_count_from_their_common_folder(pictures, tmp_path):
    dataset = load_dataset(pictures)
    found = save_coco(dataset, tmp_path / "else" / "people.json")
    assert found.images_folder == str(pictures / "images") and not found.num_missing
    names = [one["file_name"] for one in json.loads(found.path.read_text())["images"]]
    assert names == ["day/a.png", "night/a.png", "night/b.png"]
    again = load_dataset(found.path, images_folder=found.images_folder)
    assert [one.image_path for one in again] == [one.image_path for one in dataset]
    assert [one.boxes.tolist() for one in again] == [one.boxes.tolist() for one in dataset]


def test_pictures_are_copied_on_demand_and_only_then(pictures, tmp_path):
    dataset, target = load_dataset(pictures), tmp_path / "copy" / "people.json.gz"
    save_coco(dataset, target)
    assert [path.name for path in target.parent.iterdir()] == ["people.json.gz"]
    save_coco(dataset, target, overwrite=True, copy_images=True)
    again = load_dataset(target)
    assert [one.name for one in again] == ["day/a.png", "night/a.png", "night/b.png"]
    assert all(str(target.parent) in one.image_path for one in again)
    np.testing.assert_array_equal(again.load_image(1), dataset.load_image(1))
    with pytest.raises(FileExistsError, match="--overwrite"):
        save_coco(dataset, target.with_name("other.json"), copy_images=True)
    assert not target.with_name("other.json").exists()
    # a dataset whose pictures are the copies is written again and harms none
    save_coco(again, target, overwrite=True, copy_images=True)
    assert load_dataset(target)[2].width == 22


@pytest.mark.parametrize("overwrite", [False, True])
def test_no_copy_takes_the_place_of_another_picture_of_the_dataset(tmp_path, overwrite):
    files = [tmp_path / "images" / name for name in ("sub/1.png", "sub/sub/1.png")]
    images = []
    for number, file in enumerate(files, start=1):
        file.parent.mkdir(parents=True)
        Image.new("RGB", (20 + number, 10)).save(file)
        images.append(ImageAnnotation(str(file), number, 20 + number, 10, [], []))
    before = [file.read_bytes() for file in files]
    with pytest.raises(FileExistsError, match=r"another folder\. Received: .*images/sub/1\.png$"):
        dataset, target = dataset_of(*images), tmp_path / "people.json"
        save_coco(dataset, target, overwrite=overwrite, copy_images=True)
    assert [file.read_bytes() for file in files] == before
    assert sorted(os.listdir(tmp_path / "images")) == ["sub"]


def test_what_is_refused(tmp_path):
    dataset, path = dataset_of(WORKED), tmp_path / "out.json"
    with pytest.raises(ValueError, match="must end in .json"):
        save_coco(dataset, tmp_path / "out.txt")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(IsADirectoryError):
        save_coco(dataset, tmp_path / "folder.json", overwrite=True)
    with pytest.raises(BadDataError, match="cannot be copied"):
        save_coco(dataset, path, copy_images=True)
    assert not path.exists()
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="--overwrite"):
        save_coco(dataset, path)
    twice = dataset_of(WORKED, ImageAnnotation("", 8, 5, 5, [], [], name="set00/a.jpg"))
    with pytest.raises(ValueError, match="different names"):
        save_coco(twice, path, overwrite=True)
    assert path.read_text() == "mine"


def test_it_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    import keras_hkd.atomic_write

    path = tmp_path / "out.json"
    path.write_text("mine")

    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr(keras_hkd.atomic_write.os, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        save_coco(dataset_of(WORKED), path, overwrite=True)
    assert path.read_text() == "mine" and list(tmp_path.iterdir()) == [path]


def test_gzip_is_the_same_every_time(tmp_path):
    for name in ("a.json.gz", "b.json.gz"):
        save_coco(dataset_of(WORKED), tmp_path / name)
    first, second = ((tmp_path / name).read_bytes() for name in ("a.json.gz", "b.json.gz"))
    assert first == second and json.loads(gzip.decompress(first))["images"][0]["id"] == 7
