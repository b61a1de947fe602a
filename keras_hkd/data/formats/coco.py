"""COCO JSON: one file for all images (https://cocodataset.org/#format-data).

Read: `images` (id, file_name, width, height, optional split), `categories` (id, name) and
`annotations` (id, image_id, category_id, bbox = x, y, width, height in pixels from the upper left
corner). `iscrowd` 1 or `ignore` 1 makes an ignore region, of which average precision takes those of
`iscrowd` for crowds, as COCO's own code does. `vis_bbox`, the visible part, `vis_ratio`, its share,
and `occlusion`, KAIST's level, are kept where they are there. An image's size may be missing, null
or 0 where its file is there. Ids may be numbers or text, and text that is a number refers to that
number. Images are looked for beside the file, in `images` or `data` there or one folder up, and
there in a folder named as the end of the file's name (`instances_val2017.json`: `val2017`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.formats.bad_records import (
    BadRecords,
    RecordProblem,
    Unique,
    flag,
    identifier,
    mapping,
    number,
    shown,
    words,
)
from keras_hkd.data.formats.records import BoxRecord, ImageRecord, Records, synonyms
from keras_hkd.data.formats.text_files import WHOLE_FILE, is_json, mentions, read_json
from keras_hkd.data.picture_finder import places
from keras_hkd.progress import image_progress
from keras_hkd.tensors import Tensor

NAME = "coco"
RANK = 50
_INSIDE = ("_annotations.coco.json", "annotations.json", "instances*.json", "labels.json")
_NUM_PEEKED = 50
_MANY = 20_000
_FLAGS: dict[Any, bool] = {None: False, 0: False, 1: True}


class _Image(msgspec.Struct, gc=False):
    id: Any = None
    file_name: Any = None
    im_name: Any = None
    width: Any = None
    height: Any = None
    split: Any = None


class _Category(msgspec.Struct, gc=False):
    id: Any = None
    name: Any = None


class _Annotation(msgspec.Struct, gc=False):
    id: Any = None
    image_id: Any = None
    category_id: Any = None
    bbox: Any = None
    iscrowd: Any = None
    ignore: Any = None
    area: Any = None
    vis_bbox: Any = None
    vis_ratio: Any = None
    occlusion: Any = None


class _Content(msgspec.Struct):
    """What of a file is read; what else it holds is passed over by the parser."""

    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category] | None = None


def _candidates(folder: Path) -> list[Path]:
    for name in ("annotations.json", "annotations.json.gz"):
        if (folder / name).is_file():
            return [folder / name]
    for found in (
        [*folder.glob("*.json*"), *(folder / "annotations").glob("*.json*")],
        [file for name in _INSIDE for file in folder.glob(f"*/{name}")],
    ):
        files = itertools.islice(sorted(filter(is_json, found)), _NUM_PEEKED)
        files = [file for file in files if _looks_right(file)]
        if files:
            return files
    return []


def _looks_right(file: Path) -> bool:
    keys = mentions(file, '"images"') and mentions(file, '"annotations"')
    return keys and not mentions(file, '"im_name"')


def recognises(path: Path) -> bool:
    """Tell whether a path is COCO: any JSON file, or a folder with one that has its keys."""
    return is_json(path) if path.is_file() else bool(_candidates(path))


def part(path: Path, split: str) -> Path | None:
    """Give the file of a split: `valid/_annotations.coco.json`, `instances_valid.json`.

    Where none is of this name, the one of a name that means the same, such as `val`, is taken.
    """
    files = _candidates(path) if path.is_dir() else []
    for names in ((split,), synonyms(split)):
        fitting = [
            file
            for file in files
            if not {file.parent.name, file.name.split(".")[0], _subset(file)}.isdisjoint(names)
        ]
        if fitting:
            return fitting[0] if len(fitting) == 1 and len(files) > 1 else None
    return None


def read(path: Path, bad: BadRecords) -> Records:
    """Read a COCO file, or the one in a folder.

    Args:
        path: a `.json` or `.json.gz` file, or a folder with `annotations.json` or one other.
        bad: takes bad records.

    Raises:
        BadDataError: not valid JSON, not of COCO's form, or several such files in the folder.
    """
    file = _annotation_file(path) if path.is_dir() else path
    return parse(read_json(file, _Content), file, bad)


def _annotation_file(folder: Path) -> Path:
    files = _candidates(folder)
    if len(files) == 1:
        return files[0]
    if not files:
        raise BadDataError(
            folder, "folder", "expected a COCO file annotations.json. Received: none"
        )
    names = ", ".join(str(file.relative_to(folder)) for file in files)
    parts = dict.fromkeys(
        file.parent.name if file.parent not in (folder, folder / "annotations") else _subset(file)
        for file in files
    )
    raise BadDataError(
        folder,
        "folder",
        "expected one COCO file: name one of them, or its part, as "
        f"{' or '.join(f'{folder}:{name}' for name in parts)}. Received: {names}",
    )


def _subset(file: Path) -> str:
    return file.name.split(".")[0].split("_")[-1]


def parse(content: object, file: Path, bad: BadRecords, name_key: str = "file_name") -> Records:
    """Read what a COCO file holds.

    Args:
        content: the parsed JSON.
        file: where it came from.
        bad: takes bad records.
        name_key: the key of an image's file name.

    Raises:
        BadDataError: the parts that make a COCO file are not there.
    """
    notes: list[str] = []
    annotations = _part(content, "annotations", file)
    images = _images(_part(content, "images", file), file, bad, name_key)
    listed = _part(content, "categories", file, required=False)
    categories = _categories(listed, file, bad) if listed else _unlisted(annotations, notes)
    _add_boxes(annotations, images, categories, file, bad, notes)
    folders, roots = places(file, _subset(file))
    return Records(
        images=[image for image in images.values() if image is not None],
        box_format="xywh",
        categories=categories,
        image_folders=folders,
        image_roots=roots,
        result_ids={category: category for category in categories},
        notes=tuple(notes),
    )


def _part(content: object, name: str, file: Path, required: bool = True) -> list:
    expected = "expected a COCO object with the lists images, categories and annotations"
    if isinstance(content, _Content):
        return getattr(content, name) or []
    if not isinstance(content, Mapping):
        raise BadDataError(file, WHOLE_FILE, f"{expected}. Received: {shown(content)}")
    if content.get(name) is None and not required:
        return []
    if not isinstance(content.get(name), list):
        received = f"{name} = {shown(content[name])}" if name in content else f"no {name}"
        raise BadDataError(file, WHOLE_FILE, f"{expected}. Received: {received}")
    return content[name]


def _record(record: object, kind: type[msgspec.Struct], what: str) -> Any:
    """Convert a record of plain JSON to its structure."""
    if type(record) is kind:
        return record
    record = mapping(record, what)
    return kind(**{key: record[key] for key in kind.__struct_fields__ if key in record})


def _required(value: object, key: str) -> Any:
    if value is None:
        raise RecordProblem(f"must have the key {key!r}")
    return value


def _categories(records: list, file: Path, bad: BadRecords) -> dict[int | str, str]:
    names: dict[int | str, str] = {}
    ids = Unique("category id")
    for index, record in enumerate(records):
        where = f"categories[{index}]"
        with bad.record(file, where):
            record = _record(record, _Category, "a category")
            category = identifier(_required(record.id, "id"), "a category's id")
            name = words(_required(record.name, "name"), "a category's name")
            ids.add(category, where, name.strip())
            names[category] = name.strip()
    return names


def _unlisted(annotations: list, notes: list[str]) -> dict[int | str, str]:
    """Name the categories of a file that lists none: one is the person, several go by their ids."""
    found = {_category_of(record) for record in annotations}
    if len(found) > 1:
        return {category: str(category) for category in sorted(found, key=str)}
    notes.append("no categories listed, all boxes taken for person")
    return {category: "person" for category in found or {1}}


def _category_of(record: object) -> int | str:
    get = record.get if isinstance(record, Mapping) else lambda key: getattr(record, key, None)
    category = get("category_id")
    if isinstance(category, str) and category.isdecimal() and len(category) < 19:
        return int(category)
    return category if isinstance(category, (int, str)) else 1


def _images(
    records: list, file: Path, bad: BadRecords, name_key: str
) -> dict[int | str, ImageRecord | None]:
    """Give id -> image; None for an image that was left out, whose boxes go with it."""
    images: dict[int | str, ImageRecord | None] = {}
    ids, names = Unique("image id"), Unique("image file name")
    for index, record in enumerate(records):
        where = f"images[{index}]"
        with bad.record(file, where):
            record = _record(record, _Image, "an image")
            image_id = identifier(_required(record.id, "id"), "an image's id")
            if not ids.add(image_id, where, record):
                continue
            images[image_id] = None
            name = getattr(record, name_key)
            if name not in (None, ""):
                name = words(name, f"an image's {name_key}")
                names.add(name, where)
            split = None if record.split is None else words(record.split, "an image's split")
            width, height = record.width, record.height
            if any(side in (None, 0, "", "0") for side in (width, height)):
                width = height = None
            where = f"{where} ({name or image_id})"
            images[image_id] = ImageRecord(
                str(file), where, image_id, name or "", "", width, height, split
            )
    return images


def _add_boxes(
    records: list, images: dict, categories: dict, file: Path, bad: BadRecords, notes: list[str]
) -> None:
    seen: dict[int | str, int] = {}
    num_repeated = 0
    only = next(iter(categories)) if len(categories) == 1 else None
    for index, record in enumerate(_with_progress(records)):
        try:
            if type(record) is not _Annotation:
                record = _record(record, _Annotation, "an annotation")
            image = _known(record.image_id, "image_id", images, "images")
            category = _known_category(record.category_id, categories, only)
            box = _box(record, index, category)
            if box.id is not None:
                first = seen.setdefault(box.id, index)
                if first != index:
                    same = _record(records[first], _Annotation, "an annotation")
                    _refuse_other(same, record, box.id, first)
                    num_repeated += 1
                    continue
            if image is not None:
                image.boxes.append(box)
        except RecordProblem as problem:
            shown_id = getattr(record, "id", None)
            where = BoxRecord(index, None, (), id=shown_id).place
            bad.report(file, where, str(problem))
    if num_repeated:
        notes.append(f"{num_repeated} repeated annotations taken once")


def _with_progress(records: list) -> Iterator:
    """Return the records; of many, a bar shows how far they are read."""
    with image_progress("Reading boxes", len(records), len(records) > _MANY, "boxes") as advance:
        for start in range(0, len(records), _MANY):
            part = records[start : start + _MANY]
            yield from part
            advance(len(part))


def _refuse_other(first: _Annotation, record: _Annotation, number: Tensor, index: int) -> None:
    if first != record:
        raise RecordProblem(
            "each annotation id must be used once: number them anew, or leave the ids out. "
            f"Received: {number!r} again (first in annotations[{index}])"
        )


def _known(value: object, key: str, known: dict, part: str) -> Any:
    try:
        return known[value]
    except (KeyError, TypeError):
        return known[_key(value, key, known, part)]


def _key(value: object, key: str, known: Iterable, part: str) -> Any:
    """Resolve a reference to an id, which may be text for a number or the reverse."""
    value = identifier(_required(value, key), key)
    if value in known:
        return value
    other = str(value) if isinstance(value, int) else value.strip()
    if isinstance(value, str) and other.lstrip("-").isdecimal() and len(other) < 19:
        other = int(other)
    if other in known:
        return other
    raise RecordProblem(
        f"{key} must be the id of one of the file's {part}: correct it or add that record to "
        f"{part}. Received: {shown(value)}"
    )


def _known_category(value: object, categories: dict, only: Any) -> Any:
    if type(value) is int and value in categories:
        return value
    if value is None and only is not None:
        return only
    return _key(value, "category_id", categories, "categories")


def _box(record: _Annotation, index: int, category: Any) -> BoxRecord:
    crowd = _flag(record.iscrowd, "iscrowd")
    ignore = _flag(record.ignore, "ignore")
    record_id = record.id
    if record_id is not None and type(record_id) is not int:
        record_id = identifier(record_id, "an annotation's id")
    box = BoxRecord(
        index, category, _required(record.bbox, "bbox"), crowd or ignore, record.vis_bbox
    )
    box.id = record_id
    if crowd != box.ignore:
        box.crowd = crowd
    if type(record.area) in (int, float) and 0 <= record.area < 1e18:
        box.area = record.area
    if record.vis_ratio is not None:
        box.visibility = number(record.vis_ratio, "vis_ratio")
    if type(record.occlusion) in (int, float) and 0 <= record.occlusion < 2**31:
        box.occlusion = int(record.occlusion)
    return box


def _flag(value: object, what: str) -> bool:
    try:
        return _FLAGS[value]
    except (KeyError, TypeError):
        return flag(value, what)
