"""Caltech Pedestrians as downloaded: `annotations/set00/V000.vbb`, a MATLAB file for each film.

Its structure `A` has for every frame the objects that are in it (`objLists`: number of the object,
`pos` and the visible `posv` as left, top, width, height, `occl`) and for every object its label
(`objLbl`). Labels, ignore regions and visible parts are taken as in the text files that the
authors' code makes of it (`caltech`), which rounds the boxes; here they stay as annotated. KAIST's
`.vbb` files have this form too.

The films (`.seq`) are not read. A frame counts if it has a picture, as programs store them:
`set00/V000/I00029.jpg`, `set00_V000_I00029.jpg` or `set00_V000_29.png`, in any folder of the
dataset; frames are counted from 0, so the first of every 30, which the benchmark takes, is 29.
Without pictures, as for `score`, all frames count, of 640 x 480 px. Splits: `train` is set00 to
set05, `test` the others.
P. Dollar et al., Pedestrian Detection: An Evaluation of the State of the Art, PAMI 2012.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.formats.bad_records import BadRecords, RecordProblem, shown
from keras_hkd.data.formats.caltech import FRAME_SIZE, IGNORED_LABELS, visible_part
from keras_hkd.data.formats.folders import files_below
from keras_hkd.data.formats.mat_files import MatFileError, read_mat
from keras_hkd.data.formats.records import BoxRecord, Frames, ImageRecord, Records, by_name
from keras_hkd.data.formats.text_files import WHOLE_FILE
from keras_hkd.data.picture_finder import places
from keras_hkd.progress import image_progress

NAME = "vbb"
RANK = 25  # where the text files were made, these are read
_FILM = re.compile(r"(?:^|[/_])(set\d+)[/_](V\d+)\.vbb$", re.IGNORECASE)
_PICTURE = re.compile(
    r".*(?:^|[/_])(set\d+)[/_](V\d+)(?:\.seq)?[/_](?:.*[/_])?I?(\d+)(?:\.\w+)?$", re.IGNORECASE
)
_NUM_TRAINING_SETS = 6
_FEW_FILMS = 5
_ADVICE = (
    "extract them from the .seq files as set00/V000/I00029.jpg or set00_V000_I00029.jpg, with the "
    "authors' MATLAB code (dbExtract) or a converter of .seq files"
)


def recognises(path: Path) -> bool:
    """Tell whether a path is Caltech's .vbb: such a file, or a folder with one anywhere below."""
    if path.is_file():
        return path.suffix.lower() == ".vbb"
    return any(True for _ in files_below(path, ".vbb"))


def frame_of(name: str) -> tuple[str, str, int] | None:
    """Read of a path or a name which set, film and frame it is; None if it says none.

    Args:
        name: with forward slashes.

    Example:

    >>> frame_of("frames/set00/V001/I00029.jpg"), frame_of("set06_V013_7.png")
    (('set00', 'v001', 29), ('set06', 'v013', 7))
    """
    found = _PICTURE.match(name)
    if found is None or "/lwir/" in name.lower():  # KAIST's thermal pictures
        return None
    return found[1].lower(), found[2].lower(), int(found[3])


def read(path: Path, bad: BadRecords) -> Records:
    """Read .vbb files; a bad file is a bad film, a bad object a bad box.

    Args:
        path: a .vbb file, or a folder with some anywhere below.
        bad: takes bad records.

    Raises:
        BadDataError: no such file.
    """
    files = [path] if path.is_file() else sorted(files_below(path, ".vbb"))
    if not files:
        raise BadDataError(path, "folder", "expected files set00/V000.vbb. Received: none")
    images: list[ImageRecord] = []
    with image_progress("Reading films", len(files), len(files) > _FEW_FILMS, "films") as advance:
        for file in files:
            with bad.record(file, WHOLE_FILE):
                images += _frames(file, bad)
            advance(1)
    found = dict.fromkeys(["person", *(box.category for image in images for box in image.boxes)])
    base = path if path.is_dir() else path.absolute().parent.parent
    folders, roots = places(base)
    return Records(
        images,
        "xywh",
        by_name(found),
        folders,
        roots,
        default_size=FRAME_SIZE,
        frames=Frames(frame_of, _ADVICE),
    )


def _frames(file: Path, bad: BadRecords) -> list[ImageRecord]:
    name = _FILM.search(file.absolute().as_posix())
    if name is None:
        raise RecordProblem(
            "must be called set00/V000.vbb or set00_V000.vbb, so that its frames are known. "
            f"Received: {file.parent.name}/{file.name}"
        )
    try:
        content = read_mat(file).get("A")
    except (MatFileError, OSError) as error:
        raise RecordProblem(f"must be a whole MATLAB file. Received: one where {error}") from error
    if not isinstance(content, dict) or not {"objLists", "objLbl"} <= set(content):
        raise RecordProblem("must hold a structure A with objLists and objLbl. Received: none")
    lists, labels = content["objLists"], content["objLbl"]
    if not isinstance(lists, list) or not isinstance(labels, list):
        raise RecordProblem("objLists and objLbl must be cell arrays. Received: other ones")
    number = int(re.sub(r"\D", "", name[1]))
    split = "train" if number < _NUM_TRAINING_SETS else "test"
    images = []
    for index, objects in enumerate(lists):
        frame = f"{name[1]}/{name[2]}/I{index:05d}"
        image = ImageRecord(str(file), f"frame {index}", frame, frame, split=split)
        for place, one in enumerate(_objects(objects), start=1):
            where = f"frame {index}, object {place}"
            with bad.record(file, where):
                image.boxes.append(_box(one, labels, where))
        images.append(image)
    return images


def _objects(value: object) -> list:
    """Return the objects of a frame: one structure, several, or an empty array for none."""
    if isinstance(value, list):
        return value
    return [] if isinstance(value, np.ndarray) and not value.size else [value]


def _box(one: object, labels: list, where: str) -> BoxRecord:
    if not isinstance(one, dict) or not {"id", "pos"} <= set(one):
        raise RecordProblem(f"must be a structure with id and pos. Received: {shown(one)}")
    (number,) = _numbers(one["id"], 1, "id")
    known = number in range(1, len(labels) + 1)
    label = labels[int(number) - 1] if known else None
    if not isinstance(label, str) or not label.strip():
        raise RecordProblem(
            f"id must be the number of an object with a label. Received: {number:g}"
        )
    label = label.strip().lower()
    box = _numbers(one["pos"], 4, "pos")
    (occluded,) = _numbers(one.get("occl", 0), 1, "occl")
    if occluded not in (0, 1, 2):
        raise RecordProblem(f"occl must be 0 or 1 (KAIST: up to 2). Received: {occluded:g}")
    seen = _numbers(one.get("posv", [0] * 4), 4, "posv")
    if np.rint(seen).tolist() == np.rint(box).tolist():
        seen = box  # equal as the text files have them
    ignored = label in IGNORED_LABELS
    return BoxRecord(
        where,
        "person" if ignored else label,
        box,
        ignored,
        visible_part(box, occluded, seen),
        occlusion=int(occluded),
    )


def _numbers(value: object, count: int, what: str) -> list[float]:
    array = np.asarray(value if isinstance(value, (np.ndarray, list, int)) else [])
    if array.size == 1 and count == 4 and not array.any():
        return [0.0] * 4  # a visible box that was never drawn
    if array.size != count or array.dtype.kind not in "iuf":
        raise RecordProblem(f"{what} must hold {count} numbers. Received: {shown(value)}")
    return array.astype(float).reshape(-1).tolist()
