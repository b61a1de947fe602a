"""EuroCity Persons: `labels/<split>/<city>/<name>.json`, one file for each image.

Pedestrians count; riders and groups are ignore regions. The tags `occluded>10`, `>40` and `>80` say
how much is hidden: the visible share is taken as 0.9, 0.6 and 0.2, what is visible at most. Images
are looked for in `img` beside `labels`.
M. Braun et al., EuroCity Persons: A Novel Benchmark for Person Detection, TPAMI 2019.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.formats.bad_records import BadRecords, RecordProblem, mapping, shown, words
from keras_hkd.data.formats.folders import files_below
from keras_hkd.data.formats.records import BoxRecord, ImageRecord, Records
from keras_hkd.data.formats.text_files import WHOLE_FILE, peek, read_json
from keras_hkd.data.picture_finder import places

NAME = "eurocity"
RANK = 20
_IGNORED = ("rider", "group")
_VISIBLE = {"occluded>10": 0.9, "occluded>40": 0.6, "occluded>80": 0.2}
_SPLITS = ("train", "val", "test")


def _looks_right(file: Path) -> bool:
    text = peek(file, 2000)
    return '"identity"' in text and '"imagewidth"' in text


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.lower() == ".json" and _looks_right(path) else []
    found = files_below(path, ".json")
    first = list(itertools.islice(found, 3))
    return sorted([*first, *found]) if first and all(map(_looks_right, first)) else []


def recognises(path: Path) -> bool:
    """Tell whether a path is EuroCity Persons': JSON files of a frame, or a folder of them."""
    return bool(_files(path))


def read(path: Path, bad: BadRecords) -> Records:
    """Read EuroCity Persons; a bad file is a bad image.

    Args:
        path: a JSON file, or a folder with `labels` in it.
        bad: takes bad records.

    Raises:
        BadDataError: no such file.
    """
    files = _files(path)
    if not files:
        raise BadDataError(path, "folder", "expected labels/<split>/<city>/*.json. Received: none")
    images = []
    for file, content in bad.readable(files, read_json):
        with bad.record(file, WHOLE_FILE):
            images.append(_image(content, file, bad))
    folders, roots = places(path if path.is_dir() else files[0].parent)
    above = [parent / "img" for parent in files[0].parents[:5]]
    return Records(images, "xyxy", {1: "pedestrian"}, (*folders, *above), (*roots, *above), {1: 1})


def _image(content: object, file: Path, bad: BadRecords) -> ImageRecord:
    content = mapping(content, "the file")
    parents = [parent.name for parent in file.parents]
    split = next((name for name in _SPLITS if name in parents[:4]), None)
    inside = f"{split}/{parents[0]}/{file.stem}.png" if split else f"{file.stem}.png"
    size = (content.get("imagewidth"), content.get("imageheight"))
    image = ImageRecord(str(file), WHOLE_FILE, file.stem, inside, "", *size, split)
    children = content.get("children")
    if not isinstance(children, list):
        raise RecordProblem(f"must have a list of children. Received: {shown(children)}")
    for index, child in enumerate(children):
        place = f"children[{index}]"
        with bad.record(file, place):
            box = _box(mapping(child, "an object"), place)
            if box is not None:
                image.boxes.append(box)
    return image


def _box(child: Mapping, place: str) -> BoxRecord | None:
    kind = words(child.get("identity"), "identity").lower()
    ignored = any(word in kind for word in _IGNORED)
    if kind != "pedestrian" and not ignored:
        return None  # bicycles and other vehicles
    tags = child.get("tags")
    tags = tags if isinstance(tags, list) else []
    share = min((_VISIBLE[tag] for tag in tags if tag in _VISIBLE), default=1.0)
    corners = [child.get(key) for key in ("x0", "y0", "x1", "y1")]
    return BoxRecord(place, 1, corners, ignored, visibility=share)
