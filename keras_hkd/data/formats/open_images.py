"""Open Images: `*-annotations-bbox.csv`, one row for each box, corners as fractions of the image.

Person, Man, Woman, Boy and Girl are persons; groups (`IsGroupOf` 1) and depictions are ignore
regions. Other classes go by their names in `class-descriptions-boxable.csv` beside the file, where
it is there. Images are looked for under their `ImageID`.
A. Kuznetsova et al., The Open Images Dataset V4, IJCV 2020.
"""

from __future__ import annotations

import csv
from pathlib import Path

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.formats.bad_records import BadRecords, RecordProblem, flag, words
from keras_hkd.data.formats.records import BoxRecord, ImageRecord, Records
from keras_hkd.data.formats.text_files import peek, read_text
from keras_hkd.data.picture_finder import places

NAME = "openimages"
RANK = 30
_PEOPLE = ("/m/01g317", "/m/04yx4", "/m/03bt1vf", "/m/01bl7v", "/m/05r655")
_PERSON = _PEOPLE[0]
_COLUMNS = {"ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax"}


def _looks_right(file: Path) -> bool:
    lines = peek(file, 400).splitlines()
    return bool(lines) and set(lines[0].strip().split(",")) >= _COLUMNS


def _files(path: Path) -> list[Path]:
    found = [path] if path.is_file() else [*path.glob("*.csv"), *path.glob("annotations/*.csv")]
    return sorted(f for f in found if f.suffix.lower() == ".csv" and _looks_right(f))


def recognises(path: Path) -> bool:
    """Tell whether a path is Open Images': a CSV file with its columns, or a folder with some."""
    return bool(_files(path))


def read(path: Path, bad: BadRecords) -> Records:
    """Read Open Images' boxes; a bad row is a bad box.

    Args:
        path: a CSV file, or a folder with one for each split.
        bad: takes bad records.

    Raises:
        BadDataError: no such file.
    """
    files = _files(path)
    if not files:
        raise BadDataError(path, "folder", "expected *-annotations-bbox.csv. Received: none")
    images: dict[str, ImageRecord] = {}
    for file in files:
        _add_rows(file, images, bad)
    found = {box.category for image in images.values() for box in image.boxes}
    names = _names(files[0].parent)
    categories = {label: names.get(label, label) for label in sorted(found | {_PERSON})}
    categories[_PERSON] = "person"
    folders, roots = places(files[0])
    return Records(list(images.values()), "rel_xyxy", categories, folders, roots)


def _add_rows(file: Path, images: dict[str, ImageRecord], bad: BadRecords) -> None:
    split = file.stem.split("-")[0]
    for number, row in enumerate(csv.DictReader(read_text(file).splitlines()), start=2):
        place = f"line {number}"
        with bad.record(file, place):
            image_id = words(row.get("ImageID"), "ImageID")
            label = words(row.get("LabelName"), "LabelName")
            corners = [row.get(key) for key in ("XMin", "YMin", "XMax", "YMax")]
            if None in corners:
                raise RecordProblem("must have as many fields as the first line has columns")
            ignored = _says(row, "IsGroupOf") or _says(row, "IsDepiction")
            if image_id not in images:
                name = f"{image_id}.jpg"
                images[image_id] = ImageRecord(str(file), place, image_id, name, split=split)
            category = _PERSON if label in _PEOPLE else label
            images[image_id].boxes.append(BoxRecord(place, category, corners, ignored))


def _says(row: dict, column: str) -> bool:
    """Tell whether a row has a mark; -1 stands for `not known`."""
    value = row.get(column)
    return value not in (None, "", "-1") and flag(value, column)


def _names(folder: Path) -> dict[str, str]:
    for file in sorted(folder.glob("*class-descriptions*.csv")):
        rows = csv.reader(read_text(file).splitlines())
        return {row[0]: row[1] for row in rows if len(row) == 2}
    return {}
