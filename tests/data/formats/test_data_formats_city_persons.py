"""CityPersons: small files of both forms worked out by hand, and the real ones."""

import json

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.loading import load_dataset

NAME = "aachen_000000_000019_leftImg8bit.png"
ROWS = [
    [1, 100, 50, 40, 100, 24000, 100, 50, 40, 60],  # a pedestrian whose lower part is hidden
    [2, 300, 50, 40, 100, 25000, 300, 50, 40, 100],  # a rider
    [0, 500, 50, 40, 100, 0, 500, 50, 40, 100],  # an ignore region
    [1, 2040, 900, 40, 150, 24001, 2040, 900, 8, 124],  # reaches out of the image
]


def structure(name=NAME, rows=ROWS):
    bbs = np.array(rows, np.int16)
    return {"cityname": name.split("_")[0], "im_name": name, "bbs": bbs}


def stored_mat(folder, *cells, file="anno_train.mat", key="anno_train_aligned"):
    array = np.empty((1, len(cells)), dtype=object)
    array[0, :] = cells
    savemat(folder / file, {key: array})
    return folder / file


def stored_json(folder, **changes):
    boxes = [
        {"id": 1, "bbox": [100, 50, 40, 100], "vis_bbox": [100, 50, 40, 60], "ignore": 0},
        {"id": 2, "bbox": [300, 50, 40, 100], "vis_bbox": [300, 50, 40, 100], "ignore": 1},
        {"id": 3, "bbox": [500, 50, 40, 100], "vis_bbox": [500, 50, 40, 100], "ignore": 1},
        {"id": 4, "bbox": [2040, 900, 40, 150], "vis_bbox": [2040, 900, 8, 124], "ignore": 0},
    ]
    common = {"image_id": 1, "category_id": 1, "iscrowd": 0, "height": 100, "vis_ratio": 0.5}
    content = {
        "categories": [{"id": 1, "name": "pedestrian"}, {"id": 2, "name": "rider"}],
        "images": [{"id": 1, "im_name": NAME, "height": 1024, "width": 2048}],
        "annotations": [box | common for box in boxes],
    }
    (folder / "val_gt.json").write_text(json.dumps(content | changes))
    return folder / "val_gt.json"


def load(path, **options):
    return load_dataset(path, **{"check_images": False, **options})


@pytest.mark.parametrize("form", ["mat", "json"])
def test_worked_example(tmp_path, form):
    file = stored_mat(tmp_path, structure()) if form == "mat" else stored_json(tmp_path)
    for path in (tmp_path, file):
        dataset = load(path)
        (one,) = dataset
        assert dataset.format == "citypersons" and one.image_id == 1
        assert (one.width, one.height) == (2048, 1024)
        assert one.boxes[0].tolist() == [100, 50, 140, 150]
        assert one.visible_boxes[0].tolist() == [100, 50, 140, 110]
        assert one.boxes[3].tolist() == [2040, 900, 2080, 1050]  # kept whole
        assert one.ignore.tolist() == [False, True, True, False]
        assert one.classes.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    "annotations, image",
    [("annotations", f"leftImg8bit/train/aachen/{NAME}"), (".", f"images/{NAME}"), (".", NAME)],
)
def test_images_are_found(tmp_path, annotations, image):
    for folder in (tmp_path / annotations, (tmp_path / image).parent):
        folder.mkdir(parents=True, exist_ok=True)
    stored_mat(tmp_path / annotations, structure())
    Image.new("L", (2048, 1024)).save(tmp_path / image)
    (one,) = load(tmp_path, check_images=True)
    assert one.image_path == str(tmp_path / image)


def test_the_files_of_a_folder_are_its_splits(tmp_path):
    other = "bochum_000000_000313_leftImg8bit.png"
    stored_mat(tmp_path, structure())
    stored_mat(tmp_path, structure(other, ROWS[:1]), file="anno_val.mat", key="anno_val_aligned")
    assert [(a.image_id, a.num_boxes) for a in load(tmp_path)] == [(1, 4), (2, 1)]
    (one,) = load(f"{tmp_path}:val")
    assert one.image_id == 1 and one.num_boxes == 1


def test_categories_other_than_pedestrian_are_ignored(tmp_path):
    annotation = {"id": 1, "image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4]}
    (one,) = load(stored_json(tmp_path, annotations=[annotation]))
    assert one.ignore.tolist() == [True]


@pytest.mark.parametrize(
    "row, message",
    [
        ([7, 1, 2, 3, 4, 0, 1, 2, 3, 4], "the class must be a whole number from 0 to 5"),
        ([1, 1, 2, 0, 4, 0, 1, 2, 3, 4], "width above 0"),
        ([1, 1, 2, 3, 4, 0, 1, 2, -3, 4], "visible box .* negative"),
        ([1, 3000, 2, 3, 4, 0, 1, 2, 3, 4], "wholly outside"),
    ],
)
def test_bad_rows_raise_or_are_skipped(tmp_path, row, message):
    file = stored_mat(tmp_path, structure(rows=[ROWS[0], row]))
    with pytest.raises(BadDataError, match=rf"train.mat: image 1 \({NAME}\), box 2: .*{message}"):
        load(file)
    dataset = load(file, on_bad_data="skip")
    assert dataset.num_boxes == 1 and len(dataset.skipped) == 1


@pytest.mark.parametrize(
    "cell, message",
    [
        (structure(), "each image file name must be used once"),
        ({"im_name": "b.png"}, "must be a structure with im_name and bbs"),
        ("text", "must be a structure with im_name and bbs"),
        (structure("b.png") | {"im_name": 5}, "im_name must be text"),
        (structure("b.png", [[1, 2, 3]]), "bbs must hold 10 numbers a row"),
        (structure("b.png") | {"bbs": "text"}, "bbs must hold 10 numbers a row"),
    ],
)
def test_bad_cells_raise_or_are_skipped(tmp_path, cell, message):
    file = stored_mat(tmp_path, structure(), cell)
    with pytest.raises(BadDataError, match=f"anno_train.mat: image 2: {message}"):
        load(file)
    assert len(load(file, on_bad_data="skip")) == 1


def test_an_image_without_boxes_is_read(tmp_path):
    first, second = load(stored_mat(tmp_path, structure(), structure("b_1.png", [])))
    assert (first.num_boxes, second.num_boxes) == (4, 0)


@pytest.mark.parametrize("on_bad_data", ["raise", "skip"])
def test_files_bad_as_a_whole_raise_in_both_modes(tmp_path, on_bad_data):
    whole = stored_mat(tmp_path, structure()).read_bytes()
    for content in (b"", b"text", whole[:300]):
        (tmp_path / "anno_train.mat").write_bytes(content)
        with pytest.raises(BadDataError, match="anno_train.mat: the whole file: expected"):
            load(tmp_path, on_bad_data=on_bad_data)
    savemat(tmp_path / "anno_train.mat", {"x": [1]})
    with pytest.raises(BadDataError, match=r"expected one cell array anno_.*Received: \['x'\]"):
        load(tmp_path, on_bad_data=on_bad_data)


def test_several_evaluation_files_must_be_named(tmp_path):
    stored_json(tmp_path).rename(tmp_path / "one.json")
    stored_json(tmp_path)
    with pytest.raises(BadDataError, match="Received: one.json, val_gt.json"):
        load(tmp_path)


def test_the_real_files(shared_dir):
    folder = shared_dir / "data" / "metric_check" / "citypersons"
    train = load(f"{folder}:train")
    assert (len(train), train.num_boxes, sum((~a.ignore).sum() for a in train)) == (
        2975,
        27770,
        16526,
    )
    mat, evaluation = load(folder / "anno_val.mat"), load(folder / "val_gt.json.gz")
    for val in (mat, evaluation):
        assert (len(val), val.num_boxes, sum((~a.ignore).sum() for a in val)) == (500, 5795, 3157)
    for one, other in zip(mat, evaluation, strict=True):
        assert one.image_id == other.image_id
        np.testing.assert_array_equal(one.boxes, other.boxes)
        np.testing.assert_array_equal(one.ignore, other.ignore)
        np.testing.assert_array_equal(one.visible_boxes, other.visible_boxes)
