"""CrowdHuman: `annotation_train.odgt` and `annotation_val.odgt`, one JSON object a line.

`fbox` is the whole body, which may reach out of the image, and `vbox` its visible part; both are
kept. What is no person (`mask`) or has `ignore` 1 in `extra` is an ignore region. Images are looked
for under their `ID` in `Images` and beside the file; a file's split is the end of its name.
S. Shao et al., CrowdHuman: A Benchmark for Detecting Human in a Crowd, 2018.
"""

from __future__ import annotations

import json
from pathlib import Path

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.formats.bad_records import (
    BadRecords,
    RecordProblem,
    Unique,
    flag,
    mapping,
    shown,
    words,
)
from keras_hkd.data.formats.records import BoxRecord, ImageRecord, Records
from keras_hkd.data.formats.text_files import read_text
from keras_hkd.data.picture_finder import places

NAME = "crowdhuman"
RANK = 20


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.lower() == ".odgt" else []
    return sorted([*path.glob("*.odgt"), *path.glob("annotations/*.odgt")])


def recognises(path: Path) -> bool:
    """Tell whether a path is CrowdHuman's: an .odgt file, or a folder with some."""
    return bool(_files(path))


def read(path: Path, bad: BadRecords) -> Records:
    """Read CrowdHuman annotations; a bad line is a bad image.

    Args:
        path: an .odgt file, or a folder with one for each split.
        bad: takes bad records.

    Raises:
        BadDataError: no such file.
    """
    files = _files(path)
    if not files:
        raise BadDataError(path, "folder", "expected annotation_*.odgt. Received: none")
    images, ids = [], Unique("image id")
    for file in files:
        for number, line in enumerate(read_text(file).splitlines(), start=1):
            if line.strip():
                with bad.record(file, f"line {number}"):
                    image = _image(line, file, number, bad)
                    ids.add(image.image_id, f"{file.name}, line {number}")
                    images.append(image)
    folders, roots = places(files[0], extra=("Images",))
    return Records(images, "xywh", {1: "person"}, folders, roots, {1: 1})


def _image(line: str, file: Path, number: int, bad: BadRecords) -> ImageRecord:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RecordProblem(
            f"must be a JSON object: fetch the file again. Received: {error}"
        ) from error
    content = mapping(content, "an image")
    image_id = words(content.get("ID"), "ID")
    boxes = content.get("gtboxes", [])
    if not isinstance(boxes, list):
        raise RecordProblem(f"gtboxes must be a list. Received: {shown(boxes)}")
    place = f"line {number} ({image_id})"
    split = file.stem.split("_")[-1]
    image = ImageRecord(str(file), place, image_id, f"{image_id}.jpg", split=split)
    for index, box in enumerate(boxes):
        where = f"line {number}, gtboxes[{index}]"
        with bad.record(file, where):
            box = mapping(box, "a box")
            ignored = words(box.get("tag"), "tag") != "person"
            extra = mapping(box.get("extra") or {}, "extra")
            ignored = ignored or flag(extra.get("ignore", 0), "ignore")
            image.boxes.append(BoxRecord(where, 1, box.get("fbox"), ignored, box.get("vbox")))
    return image
