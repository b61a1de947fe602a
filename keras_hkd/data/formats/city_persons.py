"""CityPersons: `anno_train.mat` and `anno_val.mat`, or the JSON of its official evaluation.

In the .mat files class 1 is a pedestrian; ignore regions (0), riders (2), sitting (3) and other
persons (4) and groups (5) are ignore regions here, as in the evaluation's `val_gt.json`, where
`ignore` 1 says so. Boxes mark whole bodies and are not cut at the image's edge; the visible part
comes with each box. Images are numbered from 1 in the order of the file, as the evaluation does,
and looked for in `leftImg8bit/<split>/<city>`, `images` and beside the file, and up to two folders
up. S. Zhang et al., CityPersons: A Diverse Dataset for Pedestrian Detection, CVPR 2017.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.formats import coco
from keras_hkd.data.formats.bad_records import BadRecords, RecordProblem, Unique, shown, words
from keras_hkd.data.formats.mat_files import MatFileError, read_mat
from keras_hkd.data.formats.records import BoxRecord, ImageRecord, Records
from keras_hkd.data.formats.text_files import WHOLE_FILE, is_json, read_json, read_text

IMAGE_SIZE = (2048, 1024)
PEDESTRIAN = 1
_NUM_COLUMNS = 10  # class, x, y, w, h, instance id, visible x, y, w, h


def _is_evaluation_json(file: Path) -> bool:
    try:
        return is_json(file) and '"im_name"' in read_text(file)
    except BadDataError:
        return False


def _files(folder: Path) -> list[Path]:
    """Give the .mat files of a folder; if there are none, its evaluation files."""
    places = (folder, folder / "annotations")
    mats = sorted(file for place in places for file in place.glob("anno*.mat"))
    return mats or sorted(f for p in places for f in p.glob("*.json*") if _is_evaluation_json(f))


def recognises(path: Path) -> bool:
    """Tell whether a path is CityPersons: a .mat file, the evaluation's JSON, or their folder."""
    if path.is_file():
        return path.suffix.lower() == ".mat" or _is_evaluation_json(path)
    return bool(_files(path))


def read(path: Path, bad: BadRecords) -> Records:
    """Read CityPersons annotations.

    Args:
        path: a `.mat` file, a JSON file of the evaluation, or a folder with `anno_*.mat` files
            (each a split: train, val) or one such JSON file.
        bad: takes bad records.

    Raises:
        BadDataError: no such file, or one that cannot be read.
    """
    files = [path] if path.is_file() else _files(path)
    if not files or (len(files) > 1 and is_json(files[0])):
        found = ", ".join(file.name for file in files) or "none"
        problem = f"expected anno_train.mat, anno_val.mat or one evaluation file, got {found}"
        raise BadDataError(path, "folder", problem)
    if is_json(files[0]):
        return _from_json(files[0], bad)
    images = [image for file in files for image in _from_mat(file, bad)]
    return Records(
        images, "xywh", ("person",), _image_folders(files[0].parent), boxes_may_reach_out=True
    )


def _image_folders(folder: Path) -> tuple[Path, ...]:
    roots = (folder, folder.parent, folder.parent.parent)
    parts = ("leftImg8bit/train", "leftImg8bit/val", "leftImg8bit", "images", ".")
    return tuple(root / part for root in roots for part in parts)


def _with_city(name: str) -> str:
    return f"{name.split('_')[0]}/{name}"


def _from_json(file: Path, bad: BadRecords) -> Records:
    records = coco.parse(read_json(file), file, bad, name_key="im_name")
    for image in records.images:
        image.file_name = _with_city(image.file_name)
        for box in image.boxes:
            box.ignore = box.ignore or box.class_name != "person"
            box.class_name = "person"
    records.class_names = ("person",)
    records.image_folders = _image_folders(file.parent)
    records.boxes_may_reach_out = True
    return records


def _from_mat(file: Path, bad: BadRecords) -> list[ImageRecord]:
    cells = _cells(file)
    split = file.stem.split("_")[-1]
    images, names = [], Unique("image file name")
    for index, cell in enumerate(cells, start=1):
        with bad.record(file, f"image {index}"):
            image = _image(cell, file, index, split, bad)
            names.add(image.file_name, f"image {index}")
            images.append(image)
    return images


def _cells(file: Path) -> list:
    try:
        content = read_mat(file)
    except (MatFileError, OSError) as error:
        problem = f"expected a whole MATLAB file, got one where {error}: fetch it again"
        raise BadDataError(file, WHOLE_FILE, problem) from error
    arrays = [value for name, value in content.items() if name.startswith("anno")]
    if len(arrays) != 1 or not isinstance(arrays[0], list):
        problem = f"expected one cell array anno_..., a cell per image; got {shown(list(content))}"
        raise BadDataError(file, WHOLE_FILE, problem)
    return arrays[0]


def _image(cell: object, file: Path, index: int, split: str, bad: BadRecords) -> ImageRecord:
    if not isinstance(cell, dict) or not {"im_name", "bbs"} <= set(cell):
        raise RecordProblem(f"must be a structure with im_name and bbs, got {shown(cell)}")
    name, boxes = words(cell["im_name"], "im_name"), cell["bbs"]
    if not isinstance(boxes, np.ndarray) or (boxes.size and boxes.shape[1:] != (_NUM_COLUMNS,)):
        raise RecordProblem(f"bbs must hold {_NUM_COLUMNS} numbers a row, got {shown(boxes)}")
    record = f"image {index} ({name})"
    image = ImageRecord(str(file), record, index, _with_city(name), "", *IMAGE_SIZE, split=split)
    for row, values in enumerate(boxes.tolist() if boxes.size else (), start=1):
        with bad.record(file, f"{record}, box {row}"):
            image.boxes.append(_box(values, f"{record}, box {row}"))
    return image


def _box(values: list, record: str) -> BoxRecord:
    label = values[0]
    if label not in range(6):
        raise RecordProblem(f"the class must be a whole number from 0 to 5, got {shown(label)}")
    return BoxRecord(record, "person", values[1:5], label != PEDESTRIAN, values[6:10])
