"""KITTI: `label_2/000001.txt`, lines of a type and 14 numbers, the box among them in pixels.

Pedestrians count; `Person_sitting` and `DontCare` are ignore regions, as in the benchmark's own
code. The level of occlusion (0 to 3) is kept. Images are looked for in `image_2`.
A. Geiger et al., Are We Ready for Autonomous Driving? The KITTI Vision Benchmark Suite, CVPR 2012.
"""

from __future__ import annotations

from pathlib import Path

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.formats.bad_records import BadRecords, RecordProblem, number, shown
from keras_hkd.data.formats.image_texts import images_of_texts, numbers_in, texts
from keras_hkd.data.formats.records import BoxRecord, Records, by_name
from keras_hkd.data.picture_finder import places

NAME = "kitti"
RANK = 30
_PERSON = "Pedestrian"
_IGNORED = ("person_sitting", "dontcare")
_NUM_NUMBERS = (14, 15)  # results have a score as well


def _looks_right(line: str) -> bool:
    kind, _, rest = line.strip().partition(" ")
    numbers = numbers_in(rest)
    return kind[:1].isalpha() and numbers is not None and len(numbers) in _NUM_NUMBERS


def recognises(path: Path) -> bool:
    """Tell whether a path is KITTI's: text files with a type and 14 numbers a line."""
    return bool(texts(path, _looks_right))


def read(path: Path, bad: BadRecords) -> Records:
    """Read KITTI labels; a bad file is a bad image.

    Args:
        path: a label file, or a folder with `label_2` in it.
        bad: takes bad records.

    Raises:
        BadDataError: no such file.
    """
    files = texts(path, _looks_right)
    if not files:
        raise BadDataError(path, "folder", "expected label_2/<number>.txt of KITTI. Received: none")
    images = list(images_of_texts(files, bad, _box))
    found = dict.fromkeys([_PERSON, *(box.category for image in images for box in image.boxes)])
    base = files[0].parent.parent
    folders, roots = places(base, extra=("image_2", "image_02"))
    return Records(images, "xyxy", by_name(found), folders, roots)


def _box(line: str, place: str) -> BoxRecord:
    kind, *fields = line.split()
    if len(fields) not in _NUM_NUMBERS:
        raise RecordProblem(f"must be a type and 14 numbers. Received: {shown(line)}")
    ignored = kind.lower() in _IGNORED
    occluded = number(fields[1], "the level of occlusion")
    level = int(occluded) if occluded >= 0 else None
    category = _PERSON if ignored else kind
    return BoxRecord(place, category, fields[3:7], ignored, occlusion=level)
