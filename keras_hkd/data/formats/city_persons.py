"""CityPersons: `anno_train.mat` and `anno_val.mat`, its JSON files, or those of its evaluation.

In the .mat files class 1 is a pedestrian; ignore regions (0), riders (2), sitting (3) and other
persons (4) and groups (5) are ignore regions here, as in the evaluation's `val_gt.json`, where
`ignore` 1 says so, and in `gtBboxCityPersons`, a JSON file for each image, where `label` does.
Boxes mark whole bodies and may reach out of the image; the visible part comes with each box. Images
of the .mat files are numbered from 1 in the order of the file, as the evaluation does, and all are
looked for in `leftImg8bit/<split>/<city>`, `images` and beside the file, and up to two folders up.
KAIST's evaluation file has the form of `val_gt.json` and is read alike.
S. Zhang et al., CityPersons: A Diverse Dataset for Pedestrian Detection, CVPR 2017.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.formats import coco
from keras_hkd.data.formats.bad_records import (
    BadRecords,
    RecordProblem,
    Unique,
    mapping,
    shown,
    words,
)
from keras_hkd.data.formats.mat_files import MatFileError, read_mat
from keras_hkd.data.formats.records import BoxRecord, ImageRecord, Records
from keras_hkd.data.formats.text_files import WHOLE_FILE, is_json, mentions, read_json
from keras_hkd.data.picture_finder import places

NAME = "citypersons"
RANK = 20
IMAGE_SIZE = (2048, 1024)
PEDESTRIAN = 1
_NUM_COLUMNS = 10  # class, x, y, w, h, instance id, visible x, y, w, h
_PEOPLE = ("person", "pedestrian")
_ENDING = "_gtBboxCityPersons.json"
_KAIST = re.compile(r"set\d\d/V\d\d\d/I\d+")


def _is_evaluation_json(file: Path) -> bool:
    return is_json(file) and mentions(file, '"im_name"')


def _per_image(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.name.endswith(_ENDING) else []
    return sorted(path.rglob(f"*{_ENDING}"))


def _files(folder: Path) -> list[Path]:
    """Give the .mat files of a folder; if there are none, its evaluation files."""
    places = (folder, folder / "annotations")
    mats = sorted(file for place in places for file in place.glob("anno*.mat"))
    return mats or sorted(f for p in places for f in p.glob("*.json*") if _is_evaluation_json(f))


def recognises(path: Path) -> bool:
    """Tell whether a path is CityPersons: a .mat file, the evaluation's JSON, or their folder."""
    if path.is_file():
        known = path.suffix.lower() == ".mat" or path.name.endswith(_ENDING)
        return known or _is_evaluation_json(path)
    return bool(_files(path)) or any(True for _ in path.rglob(f"*{_ENDING}"))


def read(path: Path, bad: BadRecords) -> Records:
    """Read CityPersons annotations.

    Args:
        path: a `.mat` file, a JSON file, or a folder with `anno_*.mat` files (each a split: train,
            val), one JSON file of the evaluation, or `gtBboxCityPersons`.
        bad: takes bad records.

    Raises:
        BadDataError: no such file, or one that cannot be read.
    """
    files = [path] if path.is_file() else _files(path)
    if per_image := _per_image(path) if not files or path.is_file() else []:
        return _from_files(per_image, path, bad)
    if not files or (len(files) > 1 and is_json(files[0])):
        found = ", ".join(file.name for file in files) or "none"
        problem = f"expected anno_train.mat, anno_val.mat or one evaluation file. Received: {found}"
        raise BadDataError(path, "folder", problem)
    if is_json(files[0]):
        return _from_json(files[0], bad)
    images = [image for file in files for image in _from_mat(file, bad)]
    return _records(images, files[0], {1: "pedestrian"})


def _records(images: list[ImageRecord], place: Path, categories: dict) -> Records:
    base = place if place.is_dir() else place.parent
    names = [f"leftImg8bit/{split}" for split in ("train", "val", "test")] + ["leftImg8bit"]
    folders, roots = places(place, extra=names)
    above = [parent / name for parent in list(base.absolute().parents)[1:4] for name in names]
    return Records(
        images,
        "xywh",
        categories,
        (*folders, *above),
        (*roots, *above),
        {category: category for category in categories},
    )


def _with_city(name: str) -> str:
    return name if "/" in name.replace("\\", "/") else f"{name.split('_')[0]}/{name}"


def _from_json(file: Path, bad: BadRecords) -> Records:
    """Read a file of the evaluation: all but pedestrians of whatever category are ignored."""
    found = coco.parse(read_json(file), file, bad, name_key="im_name")
    people = [key for key, name in (found.categories or {}).items() if name.lower() in _PEOPLE]
    for image in found.images:
        image.file_name = _name_of_picture(image.file_name, found.image_folders)
        for box in image.boxes:
            box.ignore = box.ignore or box.category not in people
            box.category = people[0] if people else 1
            box.crowd = None
    records = _records(found.images, file, {people[0] if people else 1: "pedestrian"})
    records.notes = found.notes
    return records


def _name_of_picture(name: str, folders: tuple[Path, ...]) -> str:
    """Name the picture: in its city's folder for CityPersons, the visible one for KAIST."""
    if not _KAIST.match(name):
        return _with_city(name)
    folder, _, frame = name.rpartition("/")
    visible = any((root / folder / "visible").is_dir() for root in folders)
    return f"{folder}/visible/{frame}" if visible else name


def _from_files(files: list[Path], path: Path, bad: BadRecords) -> Records:
    """Read the files of `gtBboxCityPersons`, one for each image; a bad file is a bad image."""
    images = []
    for file, content in bad.readable(files, read_json):
        with bad.record(file, WHOLE_FILE):
            images.append(_image_of_file(content, file, bad))
    return _records(images, path if path.is_dir() else files[0], {1: "pedestrian"})


def _image_of_file(content: object, file: Path, bad: BadRecords) -> ImageRecord:
    content = mapping(content, "the file")
    objects = content.get("objects")
    if not isinstance(objects, list):
        raise RecordProblem(f"must have a list of objects. Received: {shown(objects)}")
    stem = file.name.removesuffix(_ENDING)
    size = (content.get("imgWidth"), content.get("imgHeight"))
    size = size if all(size) else (None, None)
    parents = [parent.name for parent in file.parents]
    split = next((name for name in ("train", "val", "test") if name in parents[:3]), None)
    name = _with_city(f"{stem}_leftImg8bit.png")
    image = ImageRecord(str(file), WHOLE_FILE, stem, name, "", *size, split)
    for index, one in enumerate(objects):
        with bad.record(file, f"objects[{index}]"):
            one = mapping(one, "an object")
            label = words(one.get("label"), "an object's label")
            ignored = label.lower() not in _PEOPLE
            place = f"objects[{index}]"
            image.boxes.append(BoxRecord(place, 1, one.get("bbox"), ignored, one.get("bboxVis")))
    return image


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
        problem = f"expected a whole MATLAB file: fetch it again. Received: one where {error}"
        raise BadDataError(file, WHOLE_FILE, problem) from error
    arrays = [value for name, value in content.items() if name.startswith("anno")]
    if len(arrays) != 1 or not isinstance(arrays[0], list):
        received = shown(list(content))
        problem = f"expected one cell array anno_..., a cell per image. Received: {received}"
        raise BadDataError(file, WHOLE_FILE, problem)
    return arrays[0]


def _image(cell: object, file: Path, index: int, split: str, bad: BadRecords) -> ImageRecord:
    if not isinstance(cell, dict) or not {"im_name", "bbs"} <= set(cell):
        raise RecordProblem(f"must be a structure with im_name and bbs. Received: {shown(cell)}")
    name, boxes = words(cell["im_name"], "im_name"), cell["bbs"]
    if not isinstance(boxes, np.ndarray) or (boxes.size and boxes.shape[1:] != (_NUM_COLUMNS,)):
        raise RecordProblem(f"bbs must hold {_NUM_COLUMNS} numbers a row. Received: {shown(boxes)}")
    record = f"image {index} ({name})"
    image = ImageRecord(str(file), record, index, _with_city(name), "", *IMAGE_SIZE, split=split)
    for row, values in enumerate(boxes.tolist() if boxes.size else (), start=1):
        with bad.record(file, f"{record}, box {row}"):
            image.boxes.append(_box(values, f"{record}, box {row}"))
    return image


def _box(values: list, record: str) -> BoxRecord:
    label = values[0]
    if label not in range(6):
        wanted = "the class must be a whole number from 0 to 5"
        raise RecordProblem(f"{wanted}. Received: {shown(label)}")
    return BoxRecord(record, 1, values[1:5], label != PEDESTRIAN, values[6:10])
