"""MOTChallenge: `<sequence>/gt/gt.txt`, lines `frame,track,x,y,w,h,considered,class,visibility`.

Pedestrians (class 1) that are to be considered count; those that are not, persons on vehicles (2),
static persons (7), distractors (8) and reflections (12) are ignore regions; other classes are left
out. The visible share is kept. MOT15 has no classes: all are pedestrians. `seqinfo.ini` says where
the images are, how large, and how many; a frame without a line shows nobody.
A. Milan et al., MOT16: A Benchmark for Multi-Object Tracking, 2016.
"""

from __future__ import annotations

import configparser
from pathlib import Path

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.formats.bad_records import (
    MAX_SIZE_PX,
    BadRecords,
    RecordProblem,
    integer,
    number,
    shown,
)
from keras_hkd.data.formats.folders import files_below
from keras_hkd.data.formats.image_texts import numbers_in
from keras_hkd.data.formats.records import BoxRecord, ImageRecord, Records
from keras_hkd.data.formats.text_files import WHOLE_FILE, peek, read_text
from keras_hkd.data.picture_finder import places

NAME = "mot"
RANK = 25
_PEDESTRIAN = 1
_IGNORED = (2, 7, 8, 12)
_MAX_FRAMES = 1_000_000


def _files(path: Path) -> list[Path]:
    found = [path] if path.is_file() else files_below(path, "gt.txt")
    return sorted(file for file in found if file.name == "gt.txt" and _looks_right(file))


def _looks_right(file: Path) -> bool:
    lines = peek(file, 200).splitlines()
    numbers = numbers_in(lines[0], ",") if lines else None
    return numbers is not None and len(numbers) >= 7


def recognises(path: Path) -> bool:
    """Tell whether a path is MOTChallenge's: a `gt.txt`, or a folder with some."""
    return bool(_files(path))


def read(path: Path, bad: BadRecords) -> Records:
    """Read MOTChallenge's ground truth; a bad line is a bad box.

    Args:
        path: a `gt.txt`, a sequence, or a folder of sequences.
        bad: takes bad records.

    Raises:
        BadDataError: no such file.
    """
    files = _files(path)
    if not files:
        raise BadDataError(path, "folder", "expected <sequence>/gt/gt.txt. Received: none")
    images, numbers = [], {_PEDESTRIAN}
    for file in files:
        with bad.record(file, WHOLE_FILE):
            found = _sequence(file, bad)
            numbers |= {box.category for image in found for box in image.boxes}
            images += found
    categories = {i: "pedestrian" if i == _PEDESTRIAN else f"class {i}" for i in sorted(numbers)}
    folders, roots = places(path if path.is_dir() else path.parent.parent)
    return Records(images, "xywh", categories, folders, roots, {i: i for i in categories})


def _sequence(file: Path, bad: BadRecords) -> list[ImageRecord]:
    base = file.parent.parent if file.parent.name == "gt" else file.parent
    info = _info(base / "seqinfo.ini")
    folder, suffix = info.get("imdir", "img1"), info.get("imext", ".jpg")
    width, height = (
        integer(info[key], key, 1, MAX_SIZE_PX) if key in info else None
        for key in ("imwidth", "imheight")
    )
    frames: dict[int, list[BoxRecord]] = {}
    for count in range(1, integer(info.get("seqlength", 0), "seqLength", 0, _MAX_FRAMES) + 1):
        frames[count] = []
    for index, line in enumerate(read_text(file).splitlines(), start=1):
        if line.strip():
            with bad.record(file, f"line {index}"):
                frame, box = _box(line, f"line {index}")
                frames.setdefault(frame, []).append(box)
    images = []
    for frame, boxes in sorted(frames.items()):
        name = f"{base.name}/{folder}/{frame:06d}{suffix}"
        picture = base / folder / f"{frame:06d}{suffix}"
        found = str(picture.absolute()) if picture.is_file() else ""
        image_id = f"{base.name}/{frame:06d}"
        where = f"frame {frame}"
        images.append(
            ImageRecord(str(file), where, image_id, name, found, width, height, base.name, boxes)
        )
    return images


def _info(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(read_text(file))
    except configparser.Error as error:
        raise RecordProblem(
            f"{file.name} must be an .ini file. Received: {shown(str(error))}"
        ) from error
    return dict(parser["Sequence"]) if parser.has_section("Sequence") else {}


def _box(line: str, place: str) -> tuple[int, BoxRecord]:
    fields = line.strip().strip(",").split(",")
    if len(fields) < 7:
        raise RecordProblem(
            f"must be frame,track,x,y,w,h,considered and more. Received: {shown(line)}"
        )
    frame = integer(fields[0], "the frame", 1, _MAX_FRAMES)
    has_class = len(fields) in (8, 9)
    category = integer(fields[7], "the class", 1) if has_class else _PEDESTRIAN
    ignored = category in _IGNORED or number(fields[6], "considered") == 0
    share = number(fields[8], "the visible share") if len(fields) == 9 else None
    category = _PEDESTRIAN if category in _IGNORED else category
    return frame, BoxRecord(place, category, fields[2:6], ignored, visibility=share)
