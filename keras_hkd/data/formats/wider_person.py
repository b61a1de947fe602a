"""WiderPerson: `Annotations/000040.jpg.txt`, a count, then lines `class x1 y1 x2 y2` in pixels.

Pedestrians (1) and partially visible persons (3) count; riders (2), ignore regions (4) and crowds
(5) are ignore regions. Images are looked for in `Images`; lists of splits lie beside that folder.
S. Zhang et al., WiderPerson: A Diverse Dataset for Dense Pedestrian Detection in the Wild, 2019.
"""

from __future__ import annotations

from pathlib import Path

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.formats.bad_records import BadRecords, RecordProblem, integer, shown
from keras_hkd.data.formats.image_texts import images_of_texts, texts
from keras_hkd.data.formats.records import BoxRecord, Records
from keras_hkd.data.picture_finder import places

NAME = "widerperson"
RANK = 30
_PEOPLE = (1, 3)


def _files(path: Path) -> list[Path]:
    found = texts(path, lambda line: line.strip().isdecimal())
    return [file for file in found if file.name.lower().endswith((".jpg.txt", ".png.txt"))]


def recognises(path: Path) -> bool:
    """Tell whether a path is WiderPerson's: text files named as pictures, a count first."""
    return bool(_files(path))


def read(path: Path, bad: BadRecords) -> Records:
    """Read WiderPerson annotations; a bad file is a bad image.

    Args:
        path: a text file, or the folder that holds `Annotations`.
        bad: takes bad records.

    Raises:
        BadDataError: no such file.
    """
    files = _files(path)
    if not files:
        raise BadDataError(path, "folder", "expected Annotations/<name>.jpg.txt. Received: none")
    images = list(images_of_texts(files, bad, _box))
    folders, roots = places(files[0], extra=("Images",))
    return Records(images, "xyxy", {1: "pedestrian"}, folders, roots, {1: 1})


def _box(line: str, place: str) -> BoxRecord | None:
    fields = line.split()
    if place == "line 1" and len(fields) == 1:
        return None
    if len(fields) != 5:
        raise RecordProblem(f"must be: class x1 y1 x2 y2 (5 numbers). Received: {shown(line)}")
    category = integer(fields[0], "the class", 1, 5)
    return BoxRecord(place, 1, fields[1:], category not in _PEOPLE)
