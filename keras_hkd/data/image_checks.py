"""Checks that image files are there, whole, and of the size that their records state."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from keras_hkd.data import checked_images
from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.formats.bad_records import BadRecords, RecordProblem, Unique, checked_size
from keras_hkd.data.formats.records import ImageRecord, Records
from keras_hkd.data.image_files import (
    UnreadableImageError,
    image_header,
    is_turned,
    require_whole,
    upright_size,
)
from keras_hkd.data.picture_finder import FrameFinder, PictureFinder
from keras_hkd.progress import FEW_IMAGES, image_progress


def locate(
    images: Iterable[ImageRecord],
    records: Records,
    bad: BadRecords,
    required: bool,
    images_folder: str | os.PathLike | None = None,
    notes: list[str] | None = None,
) -> list[ImageRecord]:
    """Find each image's file, and its size where the record does not state it.

    Args:
        images: the images; their `image_path`, `width` and `height` are filled in.
        records: the records that they belong to.
        bad: takes images that are missing or whose header cannot be read.
        required: whether a missing file is bad even if its size is known without it.
        images_folder: the folder of the images, in place of those of the records.
        notes: takes what the user should know.

    Returns:
        The images that are good so far.
    """
    notes = [] if notes is None else notes
    finder = _finder(records, images_folder)
    kept, paths, num_turned = [], Unique("image file"), 0
    not_extracted = None
    for image in images:
        with bad.record(image.file, image.record):
            if not image.image_path or images_folder is not None:
                image.image_path = finder.find(image.file_name)
            if image.image_path:
                paths.add(image.image_path, image.record)
            elif required and records.frames:
                not_extracted = image
                continue
            num_turned += _settle_size(image, records, finder, required)
            kept.append(image)
    if not_extracted:
        _note_missing_frames(not_extracted, len(kept), records, finder, notes)
    if finder.num_inexact:
        notes.append(f"{_counted(finder.num_inexact, 'image')} found under a name of other form")
    if num_turned:
        notes.append(_turned_note(num_turned))
    return kept


def _finder(records: Records, images_folder: str | os.PathLike | None) -> Any:
    folder = None if images_folder is None else [Path(images_folder)]
    if records.frames:
        return FrameFinder(folder or records.image_roots, records.frames.key)
    names = (image.file_name for image in records.images)
    return PictureFinder(folder or records.image_folders, folder or records.image_roots, names)


def _note_missing_frames(
    image: ImageRecord, num_kept: int, records: Records, finder: Any, notes: list[str]
) -> None:
    """Note how many frames have a picture; raise if none has, for one is missing."""
    if not num_kept and records.frames is not None:
        folders = ", ".join(finder.folders[:6])
        raise BadDataError(
            image.file,
            image.record,
            f"the frames of films must be there as pictures: {records.frames.advice}, or name "
            f"their folder (--images DIR). Received: none in {folders}",
        )
    notes.append(f"of {len(records.images):,} frames the {num_kept:,} that have a picture")


def stated_sizes(images: Iterable[ImageRecord], bad: BadRecords) -> list[ImageRecord]:
    """Check the sizes that records state, without a look at the pictures; 0 where they do not.

    Args:
        images: the images; their `width` and `height` are filled in.
        bad: takes images whose size cannot be one.

    Returns:
        The images that are good.
    """
    kept = []
    for image in images:
        with bad.record(image.file, image.record):
            known = image.width is not None
            image.width, image.height = checked_size(image.width, image.height) if known else (0, 0)
            kept.append(image)
    return kept


def _settle_size(
    image: ImageRecord, records: Records, finder: PictureFinder, required: bool
) -> bool:
    """Fill in width and height; whether the picture was turned without a stated size."""
    size: Any = (image.width, image.height)
    turned = False
    if image.width is None and not image.image_path:
        size = records.default_size
    if not image.image_path and (required or size is None):
        raise RecordProblem(_missing(image, finder, size))
    if size[0] is None:
        size, turned = _header_size(image.image_path)
    image.width, image.height = checked_size(*size)
    return turned


def _missing(image: ImageRecord, finder: PictureFinder, size: tuple | None) -> str:
    folders = [folder for folder in finder.folders if os.path.isdir(folder)]
    folders = (folders or list(finder.folders))[:6]
    name = image.file_name or "(no name)"
    problem = f"the image file {name!r} must exist"
    received = f"Received: none in {', '.join(folders)}"
    if size is None:
        return (
            f"{problem}: put the image there, or name its folder (--images DIR); the annotations "
            f"do not state its size. {received}"
        )
    return (
        f"{problem}: put it there, name its folder (--images DIR, images_folder in Python), or "
        f"read the boxes alone with check_images=False. {received}"
    )


def _header_size(path: str) -> tuple[tuple[int, int], bool]:
    try:
        size, orientation = image_header(path)
    except UnreadableImageError as error:
        raise RecordProblem(f"{path}: {error.advising('fetch it again')}") from error
    height, width = upright_size(size, orientation)
    return (width, height), is_turned(size, orientation, None)


def whole_images(
    images: Sequence[ImageRecord], bad: BadRecords, notes: list[str] | None = None
) -> list[ImageRecord]:
    """Decode every image once, on all cores, and compare its size with its record's.

    Many images that were all found whole before, and have not changed, are not decoded again.

    Args:
        images: images whose path and size are settled.
        bad: takes those that are damaged or of another size; the image file is named as the file.
        notes: takes what the user should know.

    Returns:
        The good ones.
    """
    record = checked_images.record_of(images)
    known = checked_images.found_whole(record)
    kept, num_turned = (list(images), known) if known is not None else _looked_at(images, bad)
    if known is None and len(kept) == len(images):
        checked_images.remember_whole(record, len(images), num_turned)
    if num_turned and notes is not None:
        notes.append(_turned_note(num_turned) + " (their stated size fits either way)")
    return kept


def _looked_at(images: Sequence[ImageRecord], bad: BadRecords) -> tuple[list[ImageRecord], int]:
    """Decode images; the good ones, and how many are turned though their size cannot tell."""
    kept, num_turned = [], 0
    pool = ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1))
    try:
        shown = len(images) > FEW_IMAGES
        with image_progress("Checking images", len(images), shown) as advance:
            looks = zip(images, pool.map(_look_at, images), strict=True)
            for image, (problem, turned) in looks:
                advance(1)
                if problem is None:
                    kept.append(image)
                    num_turned += turned
                else:
                    bad.report(image.image_path, f"image {image.image_id}", problem)
    finally:
        pool.shutdown(cancel_futures=True)  # the first bad image need not wait for the rest
    return kept, num_turned


def _look_at(image: ImageRecord) -> tuple[str | None, bool]:
    """Say what is wrong with an image, and whether it was turned though its size cannot tell."""
    stated: Any = (image.height, image.width)
    try:
        size, orientation = image_header(image.image_path)
        height, width = require_whole(image.image_path, stated)
    except UnreadableImageError as error:
        return error.advising("fetch it again, or delete it and its record"), False
    if (height, width) == stated:
        same = upright_size(size, orientation) == size
        return None, same and is_turned(size, orientation, stated)
    hint = "correct the record, or put the right image there"
    if (width, height) == stated:
        hint = "its sides are swapped, and no EXIF tag turns it: turn the image, or the record"
    wanted = f"{image.width} x {image.height} px, as {image.file} says"
    return f"the image must be of {wanted}: {hint}. Received: {width} x {height}", False


def _turned_note(count: int) -> str:
    return f"{_counted(count, 'image')} turned by the EXIF tag, as viewers show it"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")
