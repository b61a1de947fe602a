"""Writes datasets of any format as COCO JSON, for other tools to read."""

from __future__ import annotations

import dataclasses
import gzip
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from keras_hkd.atomic_write import replacing
from keras_hkd.boxes.formats import convert
from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.dataset import Dataset
from keras_hkd.errors import InvalidValueError, NotAFileError, PathInUseError
from keras_hkd.messages import first_of
from keras_hkd.progress import FEW_IMAGES, image_progress

_FORMATS_WITH_TEXT_IDS = ("coco",)
PICTURES = "images"
"""Folder beside the file that pictures are copied to."""


class _Image(msgspec.Struct, gc=False):
    id: int | str
    file_name: str
    width: int
    height: int


class _Box(msgspec.Struct, gc=False, omit_defaults=True):
    """An annotation; what has a default is left out of the file where it is not known."""

    id: int
    image_id: int | str
    category_id: int | str
    bbox: list[float]
    area: float
    iscrowd: int
    ignore: int
    vis_bbox: list[float] | None = None
    vis_ratio: float | None = None
    occlusion: int | None = None


@dataclasses.dataclass(frozen=True)
class CocoExport:
    """What `save_coco` wrote.

    Args:
        path: the file.
        images_folder: the folder that the file's names of pictures count from; "" where no picture
            was found.
        num_missing: images whose picture was not found; they are named as their annotations do.
        notes: what the user should know, such as ids that had to be numbered anew.
    """

    path: Path
    images_folder: str
    num_missing: int
    notes: tuple[str, ...] = ()


def save_coco(
    dataset: Dataset,
    path: str | os.PathLike,
    *,
    overwrite: bool = False,
    copy_images: bool = False,
) -> CocoExport:
    """Write a dataset as one COCO JSON file, whole or not at all.

    Kept are the ids of images, boxes and categories that the source states, areas, ignore regions
    (`ignore` 1; `iscrowd` 1 for those that average precision takes for crowds), visible parts
    (`vis_bbox`), visible shares (`vis_ratio`) and levels of occlusion (`occlusion`), and boxes as
    annotated, also where they reach out of their image. Names of pictures count from the folder
    that holds them all. `load_dataset` reads the same dataset from the file.

    Ids are numbered from 1 where the source has none, where boxes of several sources share some,
    where box ids begin at 0, which pycocotools takes for "not found", and where images have text
    for ids that is but their name.

    Args:
        dataset: any dataset.
        path: the file to write, `.json` or `.json.gz`.
        overwrite: whether to replace a file that is there.
        copy_images: whether to copy the pictures to a folder `images` beside the file.

    Returns:
        A `CocoExport`, which says what was written.

    Raises:
        ValueError: another suffix, or two images of one name.
        FileExistsError: the file, or with `copy_images` a picture's copy, is there already.
        BadDataError: with `copy_images`, a picture that is not there.

    Example:

    >>> import tempfile
    >>> from keras_hkd.data import ImageAnnotation, load_boxes
    >>> image = ImageAnnotation("", 7, 64, 48, [[1, 2, 11, 32]], [0], name="street.png")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = save_coco(Dataset((image,), ("person",), "", ""), f"{folder}/people.json")
    ...     again = load_boxes(written.path)
    >>> again[0].image_id, again[0].boxes.tolist()
    (7, [[1.0, 2.0, 11.0, 32.0]])
    """
    path = Path(path)
    check_target(path, overwrite)
    folder = _common_folder(dataset)
    names = _file_names(dataset, folder)
    content, notes = _content(dataset, names)
    if copy_images:
        _copy_images(dataset, [path.parent / PICTURES / name for name in names], overwrite)
        folder = os.path.abspath(path.parent / PICTURES)
    encoded = msgspec.json.encode(content) + b"\n"
    with replacing(path) as partial:
        packed = path.suffix.lower() == ".gz"
        partial.write_bytes(gzip.compress(encoded, mtime=0) if packed else encoded)
    return CocoExport(path, folder, sum(not one.image_path for one in dataset), tuple(notes))


def check_target(path: str | os.PathLike, overwrite: bool = False) -> None:
    """Refuse a file that `save_coco` would not write, before anything is read.

    Args:
        path: as `save_coco` takes it.
        overwrite: as `save_coco` takes it.

    Raises:
        ValueError: another suffix than .json or .json.gz.
        FileExistsError: the file is there already.
    """
    path = Path(path)
    if not path.name.lower().endswith((".json", ".json.gz")):
        raise InvalidValueError(
            f"`path` must end in .json or .json.gz. Received: {os.fspath(path)!r}"
        )
    if path.is_dir():
        raise NotAFileError(f"`path` must be a file. Received: {path}, a folder")
    if not overwrite:
        _refuse_existing([path])


def _refuse_existing(paths: Sequence[Path]) -> None:
    there = [path for path in paths if path.exists()]
    if there:
        raise PathInUseError(
            "Expected a file that is not there yet: name another, or replace it with --overwrite "
            f"(overwrite=True in Python). Received: {first_of(there)}"
        )


def _common_folder(dataset: Dataset) -> str:
    folders = {os.path.dirname(one.image_path) for one in dataset if one.image_path}
    try:
        return os.path.commonpath(folders) if folders else ""
    except ValueError:  # on several drives
        return ""


def _file_names(dataset: Dataset, folder: str) -> list[str]:
    names = []
    for one in dataset:
        name = one.name or str(one.image_id)
        if one.image_path:
            name = os.path.relpath(one.image_path, folder) if folder else one.image_path
        names.append(name.replace(os.sep, "/"))
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InvalidValueError(
            "Images must have different names. Convert one source at a time, or name the folder of "
            f"the pictures (--images). Received: {twice[0]!r} and {len(twice) - 1} more, twice each"
        )
    return names


def _content(dataset: Dataset, names: Sequence[str]) -> tuple[dict, list[str]]:
    from keras_hkd import __version__

    notes: list[str] = []
    image_ids = _image_ids(dataset, notes)
    images = [
        _Image(image_id, name, one.width, one.height)
        for image_id, name, one in zip(image_ids, names, dataset, strict=True)
    ]
    unknown = sum(not (one.width and one.height) for one in dataset)
    if unknown:
        notes.append(f"the size of {unknown:,} images is not known and written as 0")
    content = {
        "info": {"description": f"From {dataset.format}, by keras_hkd {__version__}"},
        "images": images,
        "annotations": _boxes(dataset, image_ids, notes),
        "categories": [
            {"id": ids[0], "name": name}
            for name, ids in zip(dataset.class_names, dataset.category_ids, strict=True)
        ],
    }
    return content, notes


def _image_ids(dataset: Dataset, notes: list[str]) -> list[int | str]:
    ids = [one.image_id for one in dataset]
    own_text = {*dataset.format.split("+")} <= {*_FORMATS_WITH_TEXT_IDS}
    if own_text or all(isinstance(i, int) for i in ids):
        return ids
    notes.append("images numbered from 1")
    return list(range(1, len(ids) + 1))


def _box_ids(dataset: Dataset, notes: list[str]) -> list[int]:
    ids = _column(dataset, "annotation_ids")
    if None not in ids and len({*ids}) == len(ids) and min(ids, default=1) > 0:
        return ids
    if 0 in ids:
        notes.append("boxes numbered from 1, since pycocotools takes the id 0 for not found")
    elif any(i is not None for i in ids):
        notes.append("boxes numbered from 1, since not all have an id of their own")
    return list(range(1, len(ids) + 1))


def _column(dataset: Dataset, name: str) -> list:
    """Collect one value for each box of all images; None where it is not known."""
    values: list = []
    for one in dataset:
        column = getattr(one, name)
        values += [None] * one.num_boxes if column is None else column.tolist()
    return values


def _boxes(dataset: Dataset, image_ids: Sequence[int | str], notes: list[str]) -> list[_Box]:
    none = np.zeros((0, 4))
    corners = np.concatenate([none, *(one.boxes for one in dataset)])
    seen = np.concatenate([none, *(one.visible_boxes for one in dataset)])
    left_top_sizes, visible = _xywh(corners), _xywh(seen).tolist()
    whole = (corners == seen).all(axis=1).tolist()
    owners = np.repeat(np.arange(len(dataset)), [one.num_boxes for one in dataset]).tolist()
    ids, classes = _box_ids(dataset, notes), _column(dataset, "classes")
    ignore, crowd = _column(dataset, "ignore"), _column(dataset, "crowd")
    areas, shares = _column(dataset, "areas"), _column(dataset, "visibility")
    occlusion = _column(dataset, "occlusion")
    boxes = []
    for row, box in enumerate(left_top_sizes.tolist()):
        area = box[2] * box[3] if areas[row] is None else areas[row]
        is_crowd = ignore[row] if crowd[row] is None else crowd[row]
        boxes.append(
            _Box(
                id=ids[row],
                image_id=image_ids[owners[row]],
                category_id=dataset.category_ids[classes[row]][0],
                bbox=_short(box),
                area=_short([area])[0],
                iscrowd=int(is_crowd),
                ignore=int(ignore[row]),
                vis_bbox=None if whole[row] else _short(visible[row]),
                vis_ratio=shares[row],
                occlusion=occlusion[row],
            )
        )
    return boxes


def _xywh(corners: np.ndarray) -> np.ndarray:
    """Left, top, width, height; sides of few digits where these give exactly the same corner."""
    boxes = convert(corners, "xyxy", "xywh")
    rounded = boxes[:, 2:].round(6)
    same = boxes[:, :2] + rounded == corners[:, 2:]
    boxes[:, 2:] = np.where(same, rounded, boxes[:, 2:])
    return boxes


def _short(values: Sequence[float]) -> list[float]:
    """Whole numbers without a point and zero behind it."""
    return [int(value) if value.is_integer() else value for value in values]


def _copy_images(dataset: Dataset, targets: Sequence[Path], overwrite: bool) -> None:
    missing = next((one for one in dataset if not one.image_path), None)
    if missing is not None:
        raise BadDataError(
            dataset.source,
            f"image {missing.image_id}",
            "the picture was not found, so it cannot be copied: name the folder of the pictures "
            "(--images DIR), or convert without copies",
        )
    pairs = [
        (one.image_path, target)
        for one, target in zip(dataset, targets, strict=True)
        if not (target.exists() and os.path.samefile(one.image_path, target))
    ]
    _keep_sources(dataset, [target for _, target in pairs])
    if not overwrite:
        _refuse_existing([target for _, target in pairs])
    with image_progress("Copying images", len(pairs), len(pairs) > FEW_IMAGES) as advance:
        for source, target in pairs:
            with replacing(target) as partial:
                shutil.copyfile(source, partial)
            advance(1)


def _keep_sources(dataset: Dataset, targets: Sequence[Path]) -> None:
    """Refuse, also where files may be replaced, a copy in the place of a picture of the dataset."""
    sources = {os.path.realpath(one.image_path) for one in dataset}
    lost = [target for target in targets if os.path.realpath(target) in sources]
    if lost:
        raise PathInUseError(
            "The copy of a picture must not replace another picture of the dataset: write the file "
            f"in another folder. Received: {first_of(lost)}"
        )
