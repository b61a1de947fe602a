"""BDD100K: `bdd100k_labels_images_val.json` or `det_val.json`, a list of frames with `labels`.

`pedestrian` (earlier `person`) counts; `rider` and `other person` are ignore regions, and so are
boxes with the attribute `crowd`. Images are looked for beside the file and in `images` with all
folders inside; one that is not there counts as 1280 x 720 where boxes alone are read.
F. Yu et al., BDD100K: A Diverse Driving Dataset for Heterogeneous Multitask Learning, CVPR 2020.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.formats.bad_records import BadRecords, RecordProblem, mapping, shown, words
from keras_hkd.data.formats.records import BoxRecord, ImageRecord, Records, by_name
from keras_hkd.data.formats.text_files import WHOLE_FILE, is_json, mentions, peek, read_json
from keras_hkd.data.picture_finder import places

NAME = "bdd100k"
RANK = 30
IMAGE_SIZE = (1280, 720)
_PEOPLE = ("pedestrian", "person")
_IGNORED = ("rider", "other person")


def _looks_right(file: Path) -> bool:
    begins = peek(file, 50).lstrip()[:1]
    return begins in ("[", "{") and mentions(file, '"box2d"') and mentions(file, '"labels"')


def _files(path: Path) -> list[Path]:
    found = [path] if path.is_file() else [*path.glob("*.json"), *path.glob("labels/*.json")]
    return sorted(file for file in found[:50] if is_json(file) and _looks_right(file))


def recognises(path: Path) -> bool:
    """Tell whether a path is BDD100K's: its JSON file, or a folder with some."""
    return bool(_files(path))


def read(path: Path, bad: BadRecords) -> Records:
    """Read BDD100K's boxes.

    Args:
        path: a JSON file, or a folder with one for each split.
        bad: takes bad records.

    Raises:
        BadDataError: no such file, or not of this form.
    """
    files = _files(path)
    if not files:
        raise BadDataError(path, "folder", "expected a JSON file of BDD100K. Received: none")
    images = [image for file in files for image in _images(file, bad)]
    found = dict.fromkeys(["pedestrian", *(b.category for i in images for b in i.boxes)])
    folders, roots = places(files[0])
    return Records(images, "xyxy", by_name(found), folders, roots, default_size=IMAGE_SIZE)


def _images(file: Path, bad: BadRecords) -> list[ImageRecord]:
    content = read_json(file)
    frames = content.get("frames") if isinstance(content, dict) else content
    if not isinstance(frames, list):
        raise BadDataError(
            file, WHOLE_FILE, f"expected a list of frames. Received: {shown(content)}"
        )
    split = file.name.split(".")[0].split("_")[-1]
    images = []
    for index, frame in enumerate(frames):
        place = f"[{index}]"
        with bad.record(file, place):
            frame = mapping(frame, "a frame")
            name = words(frame.get("name"), "name")
            labels = frame.get("labels") or []
            if not isinstance(labels, list):
                raise RecordProblem(f"labels must be a list. Received: {shown(labels)}")
            image_id = name.rpartition(".")[0] or name
            image = ImageRecord(str(file), f"{place} ({name})", image_id, name, split=split)
            images.append(image)
            for number, label in enumerate(labels):
                where = f"{place}.labels[{number}]"
                with bad.record(file, where):
                    box = _box(mapping(label, "a label"), where)
                    if box is not None:
                        image.boxes.append(box)
    return images


def _box(label: Mapping, place: str) -> BoxRecord | None:
    if label.get("box2d") is None:
        return None  # lanes and drivable areas
    category = words(label.get("category"), "category").strip()
    attributes = label.get("attributes")
    crowd = isinstance(attributes, dict) and attributes.get("crowd") is True
    ignored = category.lower() in _IGNORED or crowd
    category = "pedestrian" if category.lower() in (*_PEOPLE, *_IGNORED) else category
    corners = mapping(label["box2d"], "box2d")
    return BoxRecord(place, category, [corners.get(k) for k in ("x1", "y1", "x2", "y2")], ignored)
