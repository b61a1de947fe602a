"""VisDrone: `annotations/<name>.txt`, lines `x,y,w,h,score,category,truncation,occlusion`.

Pedestrians (1) and people (2) count; ignored regions (0), and whatever has the score 0, are ignore
regions. The level of occlusion (0 to 2) is kept. Images are looked for in `images`.
P. Zhu et al., Detection and Tracking Meet Drones Challenge, TPAMI 2021.
"""

from __future__ import annotations

from pathlib import Path

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.formats.bad_records import BadRecords, RecordProblem, integer, number, shown
from keras_hkd.data.formats.image_texts import images_of_texts, numbers_in, texts
from keras_hkd.data.formats.records import BoxRecord, Records
from keras_hkd.data.picture_finder import places

NAME = "visdrone"
RANK = 30
_CATEGORIES = (
    *("ignored regions", "pedestrian", "people", "bicycle", "car", "van", "truck", "tricycle"),
    *("awning-tricycle", "bus", "motor", "others"),
)


def _looks_right(line: str) -> bool:
    numbers = numbers_in(line, ",")
    return numbers is not None and len(numbers) == 8


def recognises(path: Path) -> bool:
    """Tell whether a path is VisDrone's: text files with eight numbers a line, commas between."""
    return bool(texts(path, _looks_right))


def read(path: Path, bad: BadRecords) -> Records:
    """Read VisDrone's annotations of images; a bad file is a bad image.

    Args:
        path: a text file, or a folder with `annotations` in it.
        bad: takes bad records.

    Raises:
        BadDataError: no such file.
    """
    files = texts(path, _looks_right)
    if not files:
        raise BadDataError(
            path, "folder", "expected annotations/<name>.txt of VisDrone. Received: none"
        )
    images = list(images_of_texts(files, bad, _box))
    categories = {i: name for i, name in enumerate(_CATEGORIES) if i}
    folders, roots = places(files[0])
    return Records(images, "xywh", categories, folders, roots, {i: i for i in categories})


def _box(line: str, place: str) -> BoxRecord:
    fields = line.strip().strip(",").split(",")
    if len(fields) != 8:
        raise RecordProblem(
            "must be x,y,w,h,score,category,truncation,occlusion (8 numbers). Received: "
            + shown(line)
        )
    category = integer(fields[5], "the category", 0, len(_CATEGORIES) - 1)
    ignored = category == 0 or number(fields[4], "the score") == 0
    occlusion = integer(fields[7], "the level of occlusion")
    return BoxRecord(place, category or 1, fields[:4], ignored, occlusion=occlusion)
