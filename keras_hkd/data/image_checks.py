"""Whether the image files are there, whole, and of the size that their records state."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from keras_hkd.data.formats.bad_records import BadRecords, RecordProblem, checked_size
from keras_hkd.data.formats.records import ImageRecord, Records, find_image
from keras_hkd.data.image_files import UnreadableImageError, decode_image, image_size
from keras_hkd.progress import FEW_IMAGES, image_progress


def locate(
    images: Iterable[ImageRecord], records: Records, bad: BadRecords, required: bool
) -> list[ImageRecord]:
    """Find each image's file, and its size where the record does not state it.

    Args:
        images: the images; their `image_path`, `width` and `height` are filled in.
        records: the records that they belong to.
        bad: takes images that are missing or whose header cannot be read.
        required: whether a missing file is bad even if its size is known without it.

    Returns:
        The images that are good so far.
    """
    kept = []
    for image in images:
        image.image_path = image.image_path or find_image(records.image_folders, image.file_name)
        with bad.record(image.file, image.record):
            size = (image.width, image.height)
            if image.width is None and not image.image_path:
                size = records.default_size
            if not image.image_path and (required or size is None):
                raise RecordProblem(_missing(image, records, size))
            if size[0] is None:
                size = _header_size(image.image_path)
            image.width, image.height = checked_size(*size)
            kept.append(image)
    return kept


def _missing(image: ImageRecord, records: Records, size: tuple | None) -> str:
    folders = dict.fromkeys(os.path.normpath(folder) for folder in records.image_folders)
    problem = f"the image file {image.file_name!r} must exist, found none in {', '.join(folders)}"
    if size is None:
        return f"{problem}: put the image there (the format does not state its size)"
    return f"{problem}: put it there, or read the boxes alone with check_images=False"


def _header_size(path: str) -> tuple[int, int]:
    try:
        height, width = image_size(path)
    except UnreadableImageError as error:
        raise RecordProblem(f"{path}: {error}: fetch it again") from error
    return width, height


def whole_images(images: Sequence[ImageRecord], bad: BadRecords) -> list[ImageRecord]:
    """Decode every image once, on all cores, and compare its size with its record's.

    Args:
        images: images whose path and size are settled.
        bad: takes those that are damaged or of another size; the image file is named as the file.

    Returns:
        The good ones.
    """
    kept = []
    pool = ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1))
    try:
        shown = len(images) > FEW_IMAGES
        with image_progress("Checking images", len(images), shown) as advance:
            for image, problem in zip(images, pool.map(_problem, images), strict=True):
                advance(1)
                if problem is None:
                    kept.append(image)
                else:
                    bad.report(image.image_path, f"image {image.image_id}", problem)
    finally:
        pool.shutdown(cancel_futures=True)  # the first bad image need not wait for the rest
    return kept


def _problem(image: ImageRecord) -> str | None:
    try:
        height, width = decode_image(image.image_path).shape[:2]
    except UnreadableImageError as error:
        return f"{error}: fetch it again, or delete it and its record"
    if (width, height) == (image.width, image.height):
        return None
    hint = "correct the record, or put the right image there"
    if (height, width) == (image.width, image.height):
        hint = "turn the image itself: rotation tags (EXIF) are not followed"
    stated = f"{image.width} x {image.height} px, as {image.file} says"
    return f"the image must be of {stated}, got {width} x {height}: {hint}"
