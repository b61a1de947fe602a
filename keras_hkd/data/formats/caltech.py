"""Caltech Pedestrians as text: one file per frame, first line `% bbGt version=3`.

Each line is `label x y w h occluded vx vy vw vh ignore angle`, in pixels. `person` counts;
`people`, `person?`, `person-fa` and `ignore` are ignore regions, as is a line with ignore 1; other
labels are dropped. The visible part follows the evaluation code: all of the box if `occluded` is 0
or the visible box is all 0, nothing if it equals the box, else the visible box. Boxes mark whole
bodies and may reach out of the image. Images are looked for under the name of the text file in
`images` and beside it; without them a frame counts as 640 x 480. KAIST's text files have this form
too, with levels of occlusion up to 2.
P. Dollar et al., Pedestrian Detection: An Evaluation of the State of the Art, PAMI 2012.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.formats.bad_records import BadRecords, RecordProblem, number, shown
from keras_hkd.data.formats.records import (
    BoxRecord,
    ImageRecord,
    Records,
    by_name,
    without_suffix,
)
from keras_hkd.data.formats.text_files import WHOLE_FILE, peek, read_text
from keras_hkd.data.picture_finder import places

NAME = "caltech"
RANK = 20

FRAME_SIZE = (640, 480)
IGNORED_LABELS = ("people", "person?", "person-fa", "ignore")
_HEADER = re.compile(r"%\s*bbGt\s+version=(\S+)")
_FIELDS = ("x", "y", "w", "h", "occluded", "vx", "vy", "vw", "vh", "ignore", "angle")
_NUM_PEEKED = 20


def _texts(base: Path) -> Iterator[Path]:
    found = (file for file in base.rglob("*.txt") if file.is_file())
    return (file for file in found if "splits" not in file.relative_to(base).parts)


def _is_annotation(file: Path) -> bool:
    return file.suffix.lower() == ".txt" and _HEADER.match(peek(file, 100)) is not None


def recognises(path: Path) -> bool:
    """Tell whether a path is Caltech's text: a file with its first line, or a folder of them."""
    if path.is_file():
        return _is_annotation(path)
    return any(_is_annotation(file) for file in itertools.islice(_texts(path), _NUM_PEEKED))


def read(path: Path, bad: BadRecords) -> Records:
    """Read Caltech's text annotations; a bad file is a bad frame.

    Args:
        path: a text file, or a folder with text files in `annotations` or anywhere below.
        bad: takes bad records.

    Raises:
        BadDataError: no such file.
    """
    base = path.parent if path.is_file() else path
    if (base / "annotations").is_dir():
        base = base / "annotations"
    files = [path] if path.is_file() else sorted(filter(_is_annotation, _texts(base)))
    if not files:
        problem = 'expected text files that begin with "% bbGt version=3". Received: none'
        raise BadDataError(path, "folder", problem)
    images = []
    for file, text in bad.readable(files, read_text):
        with bad.record(file, WHOLE_FILE):
            images.append(_image(file, base, text, bad))
    found = dict.fromkeys(["person", *(box.category for image in images for box in image.boxes)])
    folders, roots = places(base)
    return Records(images, "xywh", by_name(found), folders, roots, default_size=FRAME_SIZE)


def _image(file: Path, base: Path, text: str, bad: BadRecords) -> ImageRecord:
    lines = text.splitlines()
    header = _HEADER.match(lines[0]) if lines else None
    if header is None or header[1] != "3":
        received = shown(lines[0]) if lines else "an empty file"
        raise RecordProblem(f'the first line must be "% bbGt version=3". Received: {received}')
    # both frame.txt and frame.jpg.txt are in use
    name = without_suffix(file.relative_to(base).with_suffix("").as_posix())
    image = ImageRecord(str(file), WHOLE_FILE, name, name)
    for index, line in enumerate(lines[1:], start=2):
        if line.strip():
            with bad.record(file, f"line {index}"):
                image.boxes.append(_box(line.split(), f"line {index}"))
    return image


def _box(fields: list[str], record: str) -> BoxRecord:
    if len(fields) != 12:
        raise RecordProblem(
            "must be: label x y w h occluded vx vy vw vh ignore angle (12 fields). Received: "
            f"{len(fields)}: {shown(' '.join(fields))}"
        )
    label = fields[0].strip().lower()
    values = [number(text, name) for name, text in zip(_FIELDS, fields[1:], strict=True)]
    box, visible = values[0:4], values[5:9]
    occluded, ignore, angle = values[4], values[9], values[10]
    if angle:
        raise RecordProblem(f"angle must be 0 (turned boxes are not read). Received: {fields[11]}")
    if occluded not in (0, 1, 2):
        raise RecordProblem(f"occluded must be 0 or 1 (KAIST: up to 2). Received: {occluded:g}")
    if ignore not in (0, 1):
        raise RecordProblem(f"ignore must be 0 or 1. Received: {ignore:g}")
    if label in IGNORED_LABELS:
        label, ignore = "person", 1
    visible = visible_part(box, occluded, visible)
    return BoxRecord(record, label, box, bool(ignore), visible, occlusion=int(occluded))


def visible_part(box: list[float], occluded: float, visible: list[float]) -> list[float]:
    """Give the visible part of a box as the evaluation code takes it; see above.

    Args:
        box: left, top, width, height.
        occluded: 0 where nothing hides it.
        visible: the visible box as annotated, in the same form.
    """
    if not occluded or not any(visible):
        return box
    return [box[0], box[1], 0.0, 0.0] if visible == box else visible
