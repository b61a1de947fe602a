"""What a reader returns: the records of its file, with boxes that are not checked yet."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_hkd.data.image_files import SUFFIXES

_SYNONYMS = (("val", "valid", "validation"), ("train", "training"), ("test", "testing"))


def synonyms(split: str) -> tuple[str, ...]:
    """Return the names that a split of this name also goes by, without itself.

    Args:
        split: name of a split.

    Example:

    >>> synonyms("valid"), synonyms("fold_2")
    (('val', 'validation'), ())
    """
    names = next((names for names in _SYNONYMS if split.lower() in names), ())
    return tuple(name for name in names if name != split.lower())


@dataclasses.dataclass(slots=True)
class BoxRecord:
    """One box of an image.

    Args:
        record: where it is in its file, for messages; a number stands for `annotations[number]`.
        category: its category: a key of the `categories` of its `Records`.
        values: four values, unchecked, in the format of its `Records`.
        ignore: whether it is an ignore region.
        visible: the visible part in the same format; None where it is unknown.
        crowd: whether average precision takes it for a crowd region; None for as `ignore`.
        visibility: visible share; None to take it from the visible part.
        occlusion: level of occlusion, 0 for none; None where it is unknown.
        area: square pixels of the object; None for that of the box.
        id: the id of the record in its file; None where it has none.
    """

    record: str | int
    category: Any
    values: Any
    ignore: bool = False
    visible: Sequence | None = None
    crowd: bool | None = None
    visibility: float | None = None
    occlusion: int | None = None
    area: float | None = None
    id: int | str | None = None

    @property
    def place(self) -> str:
        """Where it is in its file, in words."""
        if isinstance(self.record, str):
            return self.record
        shown = "" if self.id is None else f" (id {self.id!r:.80})"
        return f"annotations[{self.record}]{shown}"


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
        split: the split that the record states, or several.
        boxes: its boxes.
    """

    file: str
    record: str
    image_id: int | str
    file_name: str
    image_path: str = ""
    width: int | None = None
    height: int | None = None
    split: str | tuple[str, ...] | None = None
    boxes: list[BoxRecord] = dataclasses.field(default_factory=list)

    @property
    def splits(self) -> tuple[str, ...]:
        """All splits that it is in."""
        if self.split is None or isinstance(self.split, tuple):
            return self.split or ()
        return (self.split,)


@dataclasses.dataclass(frozen=True)
class Frames:
    """How the pictures are named that were made of films; frames without one are left out.

    Args:
        key: gives of the path of a picture, and of the name of an image, which frame of which film
            it is; None for a picture that is none.
        advice: how the pictures are made of the films, for the message where there are none.
    """

    key: Callable[[str], Hashable | None]
    advice: str


@dataclasses.dataclass
class Records:
    """All that one source holds.

    Args:
        images: its images.
        box_format: "xyxy", "xywh", "pascal" (corner pixels from 1, both inside), or as fractions of
            the image "rel_xyxy" or "rel_center_xywh".
        categories: category -> its name, as the source defines them; None where they are bare
            numbers.
        image_folders: where to look for the images, in this order.
        image_roots: folders that are searched with all folders inside for images that are not
            found by their exact names.
        result_ids: category -> the id that results have for it; None where the source has no ids,
            so that results number the classes from 1.
        default_size: (width, height) of an image that has neither a stated size nor a file.
        notes: what the user should know of how the source was read.
        frames: how pictures are named that are frames of films; None where pictures have names.
    """

    images: list[ImageRecord]
    box_format: str
    categories: Mapping[Any, str] | None
    image_folders: tuple[Path, ...] = ()
    image_roots: tuple[Path, ...] = ()
    result_ids: Mapping[Any, int | str] | None = None
    default_size: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()
    frames: Frames | None = None


def by_name(names: Iterable[str]) -> dict[str, str]:
    """Make the categories of a source whose boxes carry names: each name stands for itself."""
    return {name: name for name in names}


def without_suffix(file_name: str) -> str:
    """Take the suffix of an image off a file name, and no other."""
    stem, suffix = os.path.splitext(file_name)
    return stem if suffix.lower() in SUFFIXES else file_name
