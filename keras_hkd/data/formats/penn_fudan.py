"""Penn-Fudan text annotations, the form of PASCAL version 1.00: one file per image.

Corners are pixels counted from 1, both inside the box. Every label with "person" in it (they are
`PASpersonWalking`) is a person. Images are looked for in `PNGImages` and `images`.
L. Wang et al., Object Detection Combining Recognition and Segmentation, ACCV 2007.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.formats.bad_records import (
    MAX_SIZE_PX,
    BadRecords,
    RecordProblem,
    Unique,
    integer,
    shown,
)
from keras_hkd.data.formats.records import BoxRecord, ImageRecord, Records, by_name
from keras_hkd.data.formats.text_files import WHOLE_FILE, peek, read_text
from keras_hkd.data.picture_finder import places

NAME = "pennfudan"
RANK = 20
_HEADER = "# Compatible with PASCAL Annotation"
_FOLDERS = ("Annotation", "annotation", "Annotations", "annotations", ".")
_NAME = re.compile(r'^Image filename\s*:\s*"([^"\n]+)"', re.MULTILINE)
_SIZE = re.compile(r"^Image size[^:\n]*:\s*(\S+)\s*x\s*(\S+)\s*x", re.MULTILINE)
_COUNT = re.compile(r"^Objects with ground truth\s*:\s*(\S+)", re.MULTILINE)
_BOX = re.compile(
    r'^Bounding box for object (\S+) "([^"]*)" .*:\s*'
    r"\(([^,()]*),([^,()]*)\)\s*-\s*\(([^,()]*),([^,()]*)\)\s*$"
)


def _is_annotation(file: Path) -> bool:
    return file.suffix.lower() == ".txt" and peek(file, 100).startswith(_HEADER)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    for name in _FOLDERS:
        files = [file for file in sorted((path / name).glob("*.txt")) if _is_annotation(file)]
        if files:
            return files
    return []


def recognises(path: Path) -> bool:
    """Tell whether a path is Penn-Fudan's: a text file with its first line, or a folder of them."""
    return _is_annotation(path) if path.is_file() else bool(_files(path))


def read(path: Path, bad: BadRecords) -> Records:
    """Read Penn-Fudan annotations; a bad file is a bad image.

    Args:
        path: a text file, or a folder with text files in `Annotation`.
        bad: takes bad records.

    Raises:
        BadDataError: no such file.
    """
    files = _files(path)
    if not files:
        problem = f'expected text files that begin with "{_HEADER}" in Annotation. Received: none'
        raise BadDataError(path, "folder", problem)
    images, names = [], Unique("image file name")
    for file, text in bad.readable(files, read_text):
        with bad.record(file, WHOLE_FILE):
            image = _image(file, text, bad)
            names.add(image.file_name, file.name)
            images.append(image)
    folders, roots = places(files[0])
    found = dict.fromkeys(box.category for image in images for box in image.boxes)
    return Records(images, "pascal", by_name(found), folders, roots)


def _image(file: Path, text: str, bad: BadRecords) -> ImageRecord:
    if not text.startswith(_HEADER):
        raise RecordProblem(f'must begin with "{_HEADER}". Received: {shown(text[:40])}')
    name, size = _line(text, "Image filename", _NAME), _line(text, "Image size", _SIZE)
    count = _COUNT.search(text)
    width, height = (integer(one, "Image size", 1, MAX_SIZE_PX) for one in size.groups())
    file_name = PurePosixPath(name[1]).name
    image = ImageRecord(str(file), WHOLE_FILE, file.stem, file_name, "", width, height)
    lines = [(i, line) for i, line in enumerate(text.splitlines(), 1) if _states_box(line)]
    if count is not None and integer(count[1], "the number of objects") != len(lines):
        raise RecordProblem(
            f"must have as many bounding boxes as it says, {count[1]} (the file is truncated or "
            f"edited). Received: {len(lines)}"
        )
    for index, line in lines:
        with bad.record(file, f"line {index}"):
            image.boxes.append(_box(line, f"line {index}"))
    return image


def _states_box(line: str) -> bool:
    return line.startswith("Bounding box for object")


def _line(text: str, what: str, pattern: re.Pattern[str]) -> re.Match[str]:
    match = pattern.search(text)
    if match is None:
        raise RecordProblem(f'must have a line "{what} ..." (the file is damaged). Received: none')
    return match


def _box(line: str, record: str) -> BoxRecord:
    match = _BOX.match(line)
    if match is None:
        raise RecordProblem(
            'must be as in: Bounding box for object 1 "PASpersonWalking" (Xmin, Ymin) - (Xmax, '
            f"Ymax) : (160, 182) - (302, 431). Received: {shown(line)}"
        )
    label = match[2].strip()
    return BoxRecord(record, "person" if "person" in label.lower() else label, match.groups()[2:])
