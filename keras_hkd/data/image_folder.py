"""Reads images that are sorted into one folder per class."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from keras_hkd.data.annotations import BadDataError, ImageAnnotation
from keras_hkd.data.classification import ClassificationDataset, check_class_names, whole_image
from keras_hkd.data.formats.bad_records import BadRecords
from keras_hkd.data.image_files import SUFFIXES, UnreadableImageError, decode_image, image_size


def read_image_folder(
    source: str,
    class_names: Sequence[str] | None = None,
    on_bad_data: str = "raise",
    check_images: bool = True,
) -> ClassificationDataset:
    """Read `FOLDER/<class>/*.jpg`; see `load_classification` for arguments and errors.

    Folders and files whose names begin with a dot, and files that are no images by their suffix,
    are passed over; folders inside a class belong to it.

    Example:

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("cat", "dog"):
    ...         os.makedirs(f"{folder}/train/{name}")
    ...         Image.new("RGB", (12, 8)).save(f"{folder}/train/{name}/1.png")
    ...     dataset = read_image_folder(f"{folder}:train")
    >>> dataset.class_names, dataset.classes.tolist(), dataset[1].image_id
    (('cat', 'dog'), [0, 1], 'dog/1')
    """
    root, bad = _folder(source), BadRecords(on_bad_data)
    files = {folder.name: _images(folder) for folder in _visible(root) if folder.is_dir()}
    names = _class_names(root, files, class_names)
    rows = [(path, index) for index, name in enumerate(names) for path in files.get(name, ())]
    annotations = []
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        read = pool.map(lambda row: _size(row[0], check_images), rows)
        for (path, index), (size, problem) in zip(rows, read, strict=True):
            image_id = path.relative_to(root).with_suffix("").as_posix()
            if size is None:
                bad.report(path, f"image {image_id}", f"{problem}: fetch it again, or delete it")
                continue
            annotations.append(whole_image(path.resolve(), image_id, size[1], size[0], index))
    if not annotations:
        raise BadDataError(
            root, "dataset", f"expected images in the folders {sorted(files)}. Received: none"
        )
    annotations = _distinct(annotations)
    return ClassificationDataset(annotations, names, source, "image_folder", tuple(bad.skipped))


def _folder(source: str) -> Path:
    place, colon, split = source.rpartition(":")
    for folder in [Path(source), *([Path(place, split)] if colon and place else [])]:
        if folder.is_dir():
            return folder
    raise BadDataError(
        source,
        "dataset",
        "expected a folder with one folder of images per class, as PATH, or as PATH:train for "
        "PATH/train, or synthetic:NAME. Received: no such folder",
    )


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _images(folder: Path) -> list[Path]:
    found = folder.rglob("*")
    return sorted(
        path
        for path in found
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")
    )


def _class_names(root: Path, files: dict, wanted: Any) -> tuple[str, ...]:
    if any(name in files for name in ("train", "val", "test")) and wanted is None:
        raise BadDataError(
            root, "classes", f"{sorted(files)} look like splits, not classes: name one, as :train"
        )
    if wanted is None:
        empty = [name for name in files if not files[name]]
        if empty or len(files) < 2:
            raise BadDataError(
                root,
                "classes",
                f"expected two or more folders of images, one per class. Received: {sorted(files)}"
                + (f", of which {empty} hold no image" if empty else ""),
            )
        return check_class_names(sorted(files))
    unknown = sorted(name for name in files if name not in wanted and files[name])
    if unknown:
        raise BadDataError(root, "classes", f"expected {tuple(wanted)}. Received: also {unknown}")
    return check_class_names(wanted)


def _size(path: Path, check: bool) -> tuple[tuple[int, int] | None, str | None]:
    """Return `(height, width)` and no problem, or None and the problem."""
    try:
        return (decode_image(path).shape[:2] if check else image_size(path)), None
    except UnreadableImageError as error:
        return None, str(error)


def _distinct(annotations: Sequence[ImageAnnotation]) -> tuple[ImageAnnotation, ...]:
    """Add the suffix to ids where two images of a class differ in that alone."""
    ids = [annotation.image_id for annotation in annotations]
    if len(set(ids)) == len(ids):
        return tuple(annotations)
    return tuple(
        dataclasses.replace(one, image_id=str(one.image_id) + Path(one.image_path).suffix)
        for one in annotations
    )
