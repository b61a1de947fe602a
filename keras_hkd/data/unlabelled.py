"""Reads images without labels: a folder of pictures, or a dataset without its labels."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_hkd.data.annotations import BadDataError, ImageAnnotation, with_unique_ids
from keras_hkd.data.dataset import Dataset
from keras_hkd.data.formats.bad_records import BadRecords
from keras_hkd.data.formats.records import ImageRecord, Records, without_suffix
from keras_hkd.data.image_checks import locate, whole_images
from keras_hkd.data.image_files import SUFFIXES
from keras_hkd.data.loading import is_dataset, load_dataset


def load_unlabelled(
    source: str | os.PathLike | Sequence[str | os.PathLike],
    class_names: Sequence[str] = ("person",),
    on_bad_data: str = "raise",
    leave_out: Dataset | None = None,
) -> Dataset:
    """Read images without labels; any labels beside them are not read.

    Args:
        source: a folder of pictures, with all folders inside; or, as for `load_dataset`, a dataset,
            "PATH:split" or "synthetic:NAME?..."; or a list of these.
        class_names: the classes that pseudo-labels will have.
        on_bad_data: "raise" at the first damaged image, or "skip" to leave such images out.
        leave_out: images that are in this set too, the same file, are left out.

    Returns:
        A dataset without a box, at least one image.

    Raises:
        BadDataError: no such folder, no image in it, none that is left, or a damaged image.

    Example:

    >>> dataset = load_unlabelled("synthetic:street?num_images=2&height=64&width=64")
    >>> len(dataset), dataset.num_boxes
    (2, 0)
    """
    sources = [source] if isinstance(source, (str, os.PathLike)) else list(source)
    datasets = [_load(os.fspath(one), tuple(class_names), on_bad_data) for one in sources]
    dataset = without_labels(Dataset.merge(datasets))
    return dataset if leave_out is None else _without_images_of(leave_out, dataset)


def without_labels(dataset: Dataset) -> Dataset:
    """Set the labels of a dataset aside.

    Args:
        dataset: any dataset; it stays as it is.
    """
    annotations = [annotation.with_boxes(np.zeros((0, 4)), []) for annotation in dataset]
    return dataclasses.replace(dataset, annotations=tuple(annotations))


def _load(source: str, class_names: tuple[str, ...], on_bad_data: str) -> Dataset:
    if not os.path.isdir(source) or is_dataset(source):
        return load_dataset(source, class_names=class_names, on_bad_data=on_bad_data)
    bad = BadRecords(on_bad_data)
    records = Records(_pictures(Path(source)), "xyxy", {})
    images = whole_images(locate(records.images, records, bad, required=True), bad)
    if not images:
        endings = ", ".join(SUFFIXES)
        problem = f"expected at least one image ({endings}). Received: none"
        raise BadDataError(source, "folder", problem)
    no_boxes, no_classes = np.zeros((0, 4)), np.zeros(0)
    annotations = [
        ImageAnnotation(
            image.image_path,
            image.image_id,
            image.width or 0,
            image.height or 0,
            no_boxes,
            no_classes,
        )
        for image in images
    ]
    skipped = tuple(bad.skipped)
    return Dataset(with_unique_ids(annotations), class_names, source, "images", skipped)


def _pictures(folder: Path) -> list[ImageRecord]:
    """List all pictures in a folder and the folders inside, by name, hidden ones left out."""
    records = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in SUFFIXES and not hidden and path.is_file():
            where = (str(path), "the image")
            records.append(ImageRecord(*where, without_suffix(name), name, os.path.abspath(path)))
    return records


def _without_images_of(other: Dataset, dataset: Dataset) -> Dataset:
    known = {os.path.realpath(image.image_path) for image in other if image.image_path}
    new = [i for i, a in enumerate(dataset) if os.path.realpath(a.image_path) not in known]
    if not new:
        raise BadDataError(
            dataset.source,
            "dataset",
            f"expected images that {other.source} does not hold: name another folder. "
            "Received: none",
        )
    return dataset if len(new) == len(dataset) else dataset.select(new)
