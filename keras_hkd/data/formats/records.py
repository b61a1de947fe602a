"""What a reader hands over: the records as its file has them, boxes not yet checked."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from keras_hkd.data.image_files import SUFFIXES

_SAME = {"pedestrian": "person"}


def canonical(class_name: str) -> str:
    """Give the form in which class names are compared: person and pedestrian are one class.

    Args:
        class_name: a name as a file or a user wrote it.

    Example:
        >>> canonical(" Pedestrian"), canonical("Car")
        ('person', 'car')
    """
    name = class_name.strip().lower()
    return _SAME.get(name, name)


@dataclasses.dataclass(slots=True)
class BoxRecord:
    """One box of an image.

    Args:
        record: where it is in its file, for messages.
        class_name: canonical name of its class.
        values: four values, unchecked, in the format of its `Records`.
        ignore: whether it is an ignore region.
        visible: the visible part in the same format; None where it is unknown.
    """

    record: str
    class_name: str
    values: Sequence
    ignore: bool = False
    visible: Sequence | None = None


@dataclasses.dataclass(slots=True)
class ImageRecord:
    """One image and its boxes.

    Args:
        file: the annotation file that it is in.
        record: where it is in that file, for messages.
        image_id: the id of the image in its file, or its file name without suffix.
        file_name: name of the image file, with folders where the format has them.
        image_path: absolute path where the reader knows it; "" to look for `file_name`.
        width: in pixels; None where the format does not say.
        height: in pixels; None where the format does not say.
        split: the split that the record states.
        boxes: its boxes.
    """

    file: str
    record: str
    image_id: int | str
    file_name: str
    image_path: str = ""
    width: int | None = None
    height: int | None = None
    split: str | None = None
    boxes: list[BoxRecord] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Records:
    """All that one source holds.

    Args:
        images: its images.
        box_format: "xyxy", "xywh", "pascal" (corner pixels from 1, both inside) or
            "rel_center_xywh" (as fractions of the image).
        class_names: the classes that the source defines; None where classes are bare numbers.
        image_folders: where to look for the images, in this order.
        boxes_may_reach_out: whether boxes are kept whole at the image's edge.
        numbers_as_text: whether the values of boxes are text.
        default_size: (width, height) of an image that has neither a stated size nor a file.
    """

    images: list[ImageRecord]
    box_format: str
    class_names: tuple[str, ...] | None
    image_folders: tuple[Path, ...] = ()
    boxes_may_reach_out: bool = False
    numbers_as_text: bool = False
    default_size: tuple[int, int] | None = None


def without_suffix(file_name: str) -> str:
    """Take the suffix of an image off a file name, and no other."""
    stem, suffix = os.path.splitext(file_name)
    return stem if suffix.lower() in SUFFIXES else file_name


def find_image(folders: Sequence[Path], file_name: str) -> str:
    """Look for an image file: under its name, its bare name, and with any image suffix.

    Args:
        folders: where to look, in this order.
        file_name: with or without folders and suffix.

    Returns:
        The absolute path; "" if there is none.
    """
    has_suffix = without_suffix(file_name) != file_name
    endings = ("",) if has_suffix else SUFFIXES
    for folder in folders:
        for name in dict.fromkeys((file_name, os.path.basename(file_name))):
            for ending in endings:
                path = os.path.join(folder, name + ending)
                if os.path.isfile(path):
                    return os.path.abspath(path)
    return ""
