"""Reads parts of a dataset: a list of file names beside it, or the split of its records."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.formats.bad_records import BadRecords, RecordProblem, Unique
from keras_hkd.data.formats.records import ImageRecord, synonyms, without_suffix
from keras_hkd.data.formats.text_files import read_text

_FOLDERS = ("splits", "ImageSets/Main")


def choose_split(
    images: Sequence[ImageRecord], path: Path, split: str, bad: BadRecords
) -> list[ImageRecord]:
    """Take the images of a split, in the order of the records.

    A list `splits/<split>.txt` (or VOC's `ImageSets/Main/<split>.txt`) in the dataset's folder, or
    one folder up, comes first; else the records' own `split`; else a list `<split>.txt` in the
    folder itself. `val` and `valid` are one, and so on, where only one of them is there.

    Args:
        images: all images.
        path: the dataset's folder or file.
        split: the name of the split.
        bad: takes lines that name no image, or one that was named before.

    Raises:
        BadDataError: no such split; the message lists those that there are.
    """
    lists = _lists(path)
    own = {name for image in images for name in image.splits}
    beside = (path if path.is_dir() else path.parent) / f"{split}.txt"
    others = [name for name in sorted({*lists, *own}) if name.lower() in synonyms(split)]
    if split not in lists and split not in own and not beside.is_file() and len(others) == 1:
        split = others[0]
    if split in lists or (split not in own and beside.is_file()):
        return _listed(images, lists.get(split, beside), bad)
    chosen = [image for image in images if split in image.splits]
    if not chosen:
        known = [_with_synonyms(name) for name in sorted({*lists, *own})]
        expected = f"one of {', '.join(known)}" if known else "splits/<split>.txt beside the data"
        raise BadDataError(path, f"split {split!r}", f"expected {expected}. Received: {split!r}")
    return chosen


def _with_synonyms(split: str) -> str:
    others = " or ".join(map(repr, synonyms(split)))
    return f"{split!r} (also as {others})" if others else repr(split)


def _lists(path: Path) -> dict[str, Path]:
    folder = path if path.is_dir() else path.parent
    places = [base / name for base in (folder, folder.parent) for name in _FOLDERS]
    files = [file for place in reversed(places) for file in place.glob("*.txt")]
    return {file.stem: file for file in files}


def _keys(file_name: str) -> tuple[str, ...]:
    """Give the names by which a list may call an image: with or without folders and suffix."""
    file_name = file_name.replace("\\", "/")
    base = os.path.basename(file_name)
    return tuple(dict.fromkeys((file_name, without_suffix(file_name), base, without_suffix(base))))


def _listed(images: Sequence[ImageRecord], file: Path, bad: BadRecords) -> list[ImageRecord]:
    positions: dict[str, list[int]] = {}
    for position, image in enumerate(images):
        for key in _keys(image.file_name):
            positions.setdefault(key, []).append(position)
    chosen, names = set(), Unique("image")
    for index, line in enumerate(read_text(file).splitlines(), start=1):
        name = line.strip().removeprefix("./")
        if name:
            with bad.record(file, f"line {index}"):
                position = _position(name, positions, images)
                names.add(images[position].file_name, f"line {index} or above")
                chosen.add(position)
    return [images[position] for position in sorted(chosen)]


def _position(name: str, positions: dict[str, list[int]], images: Sequence[ImageRecord]) -> int:
    found = next((positions[key] for key in _keys(name) if key in positions), [])
    found = [position for position in found if _in_one_folder(name, images[position].file_name)]
    if not found:
        raise RecordProblem(
            "must name an image of the annotations: correct the line or delete it. "
            f"Received: {name!r}"
        )
    if len(found) > 1:
        raise RecordProblem(
            "must name one image: write it with its folder. "
            f"Received: {name!r}, which fits {len(found)}"
        )
    return found[0]


def _in_one_folder(name: str, other: str) -> bool:
    """Tell whether two names may be of one file by their folders; those of a path may be gone."""
    folders, others = (set(one.replace("\\", "/").split("/")[:-1]) for one in (name, other))
    absolute = os.path.isabs(name) or bool(PureWindowsPath(name).drive)
    return absolute or not folders or not others or bool(folders & others)
