"""Remembers that the image files of a large dataset were whole, so that a second start is quick.

To decode a hundred thousand images takes minutes. What is kept is one small file a dataset, named
by a digest of path, stated size, byte count and time of change of every image: where one of them
changes, all images are checked anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from keras_hkd.data.batches.cache_mode import cache_folder
from keras_hkd.data.formats.records import ImageRecord
from keras_hkd.json_files import read_json, write_json

MANY_IMAGES = 5_000
"""Fewer are checked anew at every start, which takes seconds."""


def found_whole(record: Path | None) -> int | None:
    """Look up whether images were found whole before, and how many were turned by EXIF.

    Args:
        record: what `record_of` gave for them.

    Returns:
        What `remember_whole` was told; None if they have to be checked.
    """
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        if record is not None:
            return int(read_json(record)["num_turned"])
    return None


def remember_whole(record: Path | None, num_images: int, num_turned: int) -> None:
    """Remember that images are whole, where the folder of caches can be written.

    Args:
        record: what `record_of` gave for them before they were checked.
        num_images: how many they are.
        num_turned: how many are turned by their EXIF tag.
    """
    if record is not None:
        with contextlib.suppress(OSError):
            record.parent.mkdir(parents=True, exist_ok=True)
            write_json(record, {"num_images": num_images, "num_turned": num_turned})


def record_of(images: Sequence[ImageRecord]) -> Path | None:
    """Name the file that says of these images, as they are now, that they were found whole.

    Args:
        images: images whose path and size are settled.

    Returns:
        Its path; None for few images, and where one of them cannot be found.
    """
    if len(images) < MANY_IMAGES:
        return None
    digest = hashlib.sha256(b"1")
    try:
        for image in images:
            status = os.stat(image.image_path)
            path = os.path.abspath(image.image_path)
            facts = (path, image.width, image.height, status.st_size, status.st_mtime_ns)
            digest.update(repr(facts).encode("utf-8", "surrogatepass"))
    except OSError:
        return None
    return cache_folder() / "checked" / f"{digest.hexdigest()[:32]}.json"
