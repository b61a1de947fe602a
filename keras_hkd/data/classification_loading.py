"""Loads the dataset of a classifier: a folder of images, or drawn images."""

from __future__ import annotations

import os
from collections.abc import Sequence

from keras_hkd.data.annotations import with_unique_ids
from keras_hkd.data.classification import ClassificationDataset
from keras_hkd.data.drawn.classification import synthetic_classes_of
from keras_hkd.data.drawn.source import PREFIX
from keras_hkd.data.image_folder import read_image_folder
from keras_hkd.errors import InvalidValueError


def load_classification(
    source: str | os.PathLike | Sequence[str | os.PathLike],
    class_names: Sequence[str] | None = None,
    on_bad_data: str = "raise",
    check_images: bool = True,
) -> ClassificationDataset:
    """Read images that are sorted into one folder per class.

    Args:
        source: "PATH" with `PATH/<class>/*.jpg`; "PATH:train" for `PATH/train/<class>/*.jpg`;
            "synthetic:NAME?num_images=200&num_classes=4&seed=0&height=64&width=64" for drawn people
            and things; or a list of these, joined.
        class_names: the classes, in the order that their indices are to have; the folders' names in
            alphabetical order by default. Give those of the training images where a part of them is
            read.
        on_bad_data: "raise" at the first image that cannot be read, or "skip" to leave such images
            out and list them in `skipped`.
        check_images: decode every image once.

    Raises:
        BadDataError: no such folder, no image, a folder of an unknown class, a damaged image.
        ValueError: fewer than two classes, or sources of different classes.

    Example:

    >>> dataset = load_classification("synthetic:train?num_images=6&num_classes=3")
    >>> dataset.class_names, len(dataset), dataset.load_image(0).shape
    (('person', 'car', 'tree'), 6, (64, 64, 3))
    """
    if isinstance(source, (str, os.PathLike)):
        source = [source]
    loaded = []
    for one in [os.fspath(path) for path in source]:
        if one.startswith(PREFIX):
            part = synthetic_classes_of(one, class_names)
        else:
            part = read_image_folder(one, class_names, on_bad_data, check_images)
        loaded.append(part)
        class_names = part.class_names if class_names is None else class_names
    if not loaded:
        raise InvalidValueError("`source` must name at least one dataset. Received: an empty list.")
    return _joined(loaded)


def _joined(parts: list[ClassificationDataset]) -> ClassificationDataset:
    if len(parts) == 1:
        return parts[0]
    images = None
    if any(part.images is not None for part in parts):
        images = tuple(part.load_image(index) for part in parts for index in range(len(part)))
    return ClassificationDataset(
        with_unique_ids([annotation for part in parts for annotation in part]),
        parts[0].class_names,
        " + ".join(part.source for part in parts),
        "+".join(dict.fromkeys(part.format for part in parts)),
        tuple(record for part in parts for record in part.skipped),
        images,
    )
