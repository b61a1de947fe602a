"""COCO JSON: one file for all images (https://cocodataset.org/#format-data).

Read: `images` (id, file_name, width, height, optional split), `categories` (id, name) and
`annotations` (id, image_id, category_id, bbox = x, y, width, height in pixels from the upper left
corner). `iscrowd` 1 or `ignore` 1 makes an ignore region; `vis_bbox`, where it is there, is the
visible part. Images are looked for in `images` beside the file, beside the file itself, in a folder
named as the end of the file's name (`instances_val2017.json`: `val2017`), and one folder up.
"""

from __future__ import annotations

from pathlib import Path

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.formats.bad_records import (
    BadRecords,
    RecordProblem,
    Unique,
    checked_size,
    flag,
    identifier,
    mapping,
    shown,
    words,
)
from keras_hkd.data.formats.records import BoxRecord, ImageRecord, Records, canonical
from keras_hkd.data.formats.text_files import WHOLE_FILE, is_json, read_json, read_text


def _candidates(folder: Path) -> list[Path]:
    for name in ("annotations.json", "annotations.json.gz"):
        if (folder / name).is_file():
            return [folder / name]
    files = [*folder.glob("*.json*"), *(folder / "annotations").glob("*.json*")]
    return sorted(file for file in files if is_json(file) and _looks_right(file))


def _looks_right(file: Path) -> bool:
    try:
        text = read_text(file)
    except BadDataError:
        return False
    return '"images"' in text and '"annotations"' in text and '"im_name"' not in text


def recognises(path: Path) -> bool:
    """Tell whether a path is COCO: any JSON file, or a folder with one that has its keys."""
    return is_json(path) if path.is_file() else bool(_candidates(path))


def read(path: Path, bad: BadRecords) -> Records:
    """Read a COCO file, or the one in a folder.

    Args:
        path: a `.json` or `.json.gz` file, or a folder with `annotations.json` or one other.
        bad: takes bad records.

    Raises:
        BadDataError: not valid JSON, not of COCO's form, or several such files in the folder.
    """
    file = _annotation_file(path) if path.is_dir() else path
    return parse(read_json(file), file, bad)


def _annotation_file(folder: Path) -> Path:
    files = _candidates(folder)
    if len(files) == 1:
        return files[0]
    if not files:
        raise BadDataError(folder, "folder", "expected a COCO file annotations.json, got none")
    names = ", ".join(str(file.relative_to(folder)) for file in files)
    raise BadDataError(folder, "folder", f"expected one COCO file, got {names}: name one of them")


def image_folders(file: Path) -> tuple[Path, ...]:
    """Give the places where the images of an annotation file may be."""
    beside, above = file.parent, file.parent.parent
    subset = file.name.split(".")[0].split("_")[-1]
    folders = (beside / "images", beside, above / "images", beside / subset, above / subset, above)
    return tuple(dict.fromkeys(folders))


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
    parts = {name: _part(content, name, file) for name in ("images", "categories", "annotations")}
    categories = _categories(parts["categories"], file, bad)
    images = _images(parts["images"], file, bad, name_key)
    _add_boxes(parts["annotations"], images, categories, file, bad)
    return Records(
        images=[image for image in images.values() if image is not None],
        box_format="xywh",
        class_names=tuple(dict.fromkeys(categories.values())),
        image_folders=image_folders(file),
    )


def _part(content: object, name: str, file: Path) -> list:
    expected = "expected a COCO object with the lists images, categories and annotations"
    if not isinstance(content, dict):
        raise BadDataError(file, WHOLE_FILE, f"{expected}, got {shown(content)}")
    if not isinstance(content.get(name), list):
        got = f"{name} = {shown(content[name])}" if name in content else f"no {name}"
        raise BadDataError(file, WHOLE_FILE, f"{expected}, got {got}")
    return content[name]


def _required(record: dict, key: str):
    if key not in record:
        raise RecordProblem(f"must have the key {key!r}, got {shown(list(record))}")
    return record[key]


def _categories(records: list, file: Path, bad: BadRecords) -> dict[int | str, str]:
    names: dict[int | str, str] = {}
    ids = Unique("category id")
    for index, record in enumerate(records):
        where = f"categories[{index}]"
        with bad.record(file, where):
            record = mapping(record, "a category")
            number = identifier(_required(record, "id"), "a category's id")
            name = words(_required(record, "name"), "a category's name")
            ids.add(number, where)
            names[number] = canonical(name)
    return names


def _images(
    records: list, file: Path, bad: BadRecords, name_key: str
) -> dict[int | str, ImageRecord | None]:
    """Give id -> image; None for an image that was left out, whose boxes go with it."""
    images: dict[int | str, ImageRecord | None] = {}
    ids, names = Unique("image id"), Unique("image file name")
    for index, record in enumerate(records):
        where = f"images[{index}]"
        with bad.record(file, where):
            record = mapping(record, "an image")
            number = identifier(_required(record, "id"), "an image's id")
            ids.add(number, where)
            images[number] = None
            name = words(_required(record, name_key), f"an image's {name_key}")
            names.add(name, where)
            width, height = checked_size(_required(record, "width"), _required(record, "height"))
            split = record.get("split")
            split = None if split is None else words(split, "an image's split")
            images[number] = ImageRecord(
                str(file), f"{where} ({name})", number, name, "", width, height, split
            )
    return images


def _add_boxes(records: list, images: dict, categories: dict, file: Path, bad: BadRecords) -> None:
    ids = Unique("annotation id")
    for index, record in enumerate(records):
        where = f"annotations[{index}]"
        with bad.record(file, where):
            record = mapping(record, "an annotation")
            number = identifier(_required(record, "id"), "an annotation's id")
            where = f"annotations[{index}] (id {shown(number)})"
            ids.add(number, where)
            image = _known(record, "image_id", images, "images")
            category = _known(record, "category_id", categories, "categories")
            if image is not None:
                image.boxes.append(_box(record, where, category))


def _known(record: dict, key: str, known: dict, part: str):
    number = identifier(_required(record, key), key)
    if number not in known:
        raise RecordProblem(
            f"{key} must be the id of one of the file's {part}, got {shown(number)}: correct it "
            f"or add that record to {part}"
        )
    return known[number]


def _box(record: dict, where: str, category: str) -> BoxRecord:
    crowd = flag(record.get("iscrowd", 0), "iscrowd")
    ignore = flag(record.get("ignore", 0), "ignore")
    box = _required(record, "bbox")
    return BoxRecord(where, category, box, crowd or ignore, record.get("vis_bbox"))
