"""Finds photographs without annotations, names and decodes them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from keras_hkd.data.annotations import BadDataError, BadRecord
from keras_hkd.data.formats.folders import files_below
from keras_hkd.data.image_files import (
    OPTIONAL_SUFFIXES,
    SUFFIXES,
    UNREAD_SUFFIXES,
    UnreadableImageError,
    decode_image,
    image_header,
)
from keras_hkd.errors import InvalidValueError, MissingFileError


def find_images(sources: Iterable) -> list[Path]:
    """List the images among files and in folders, each once, those of a folder sorted by name.

    Args:
        sources: paths of images, and of folders, which are searched with all folders inside.

    Raises:
        FileNotFoundError: a source does not exist.
        ValueError: no image was found, or a file does not have the suffix of an image.
    """
    return find_images_and_others(sources)[0]


def find_images_and_others(sources: Iterable) -> tuple[list[Path], list[BadRecord]]:
    """List images, as `find_images` does, and the pictures that cannot be opened here.

    Args:
        sources: as in `find_images`.

    Returns:
        `(paths, left out)`. Left out are files in folders that have the suffix of another kind of
        picture or film, and pictures that need an optional decoder which is not installed.

    Raises:
        FileNotFoundError: a source does not exist.
        ValueError: no image was found, or a file does not have the suffix of an image.
    """
    paths, others, sources = [], [], list(sources)
    for source in map(Path, sources):
        if source.is_dir():
            for path in sorted(files_below(source, (*SUFFIXES, *UNREAD_SUFFIXES))):
                problem = _not_opened(path)
                if problem is None:
                    paths.append(path)
                else:
                    others.append(BadRecord(str(path), "the image", problem))
        elif not source.exists():
            raise MissingFileError(f"{source}: there is no such image or folder.")
        elif source.suffix.lower() not in SUFFIXES:
            raise InvalidValueError(
                f"{source}: images end in {', '.join(SUFFIXES)}. Films go with --video FILE of "
                "keras-hkd detect, or keras_hkd.inference.watch_video."
            )
        else:
            paths.append(source)
    if not paths:
        found = f"; left out: {', '.join(map(str, others[:5]))}" if others else ""
        raise InvalidValueError(
            f"There is no image in {', '.join(map(str, sources))}: images end in "
            f"{', '.join(SUFFIXES)}{found}."
        )
    once: dict[Path, Path] = {}
    for path in paths:
        once.setdefault(path.resolve(), path)
    return list(once.values()), others


def _not_opened(path: Path) -> str | None:
    """Say why a file cannot be opened as an image; None if it can."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        return f"files of the kind {suffix} are not opened: write the picture as .jpg or .png"
    if suffix in OPTIONAL_SUFFIXES:
        try:
            image_header(path)
        except UnreadableImageError as error:
            return error.advising("write it as .jpg or .png")
    return None


def image_ids(paths: Iterable[str | os.PathLike]) -> list[int | str]:
    """Make the ids under which results name images that have no annotation file.

    If every file name is a number, as in COCO, the ids are these numbers. Otherwise they are the
    file names without suffix, preceded by as many folders as are needed to tell them apart.

    Args:
        paths: paths of the images.

    Returns:
        One id for each path.

    Example:

    >>> image_ids(["a/000000000139.jpg", "a/000000000285.jpg"])
    [139, 285]
    >>> image_ids(["day/1.jpg", "night/1.jpg", "night/2.jpg"])
    ['day/1', 'night/1', 'night/2']
    """
    files = [Path(path) for path in paths]
    files = [Path(os.path.abspath(file)) if ".." in file.parts else file for file in files]
    stems = [file.stem for file in files]
    if all(stem.isascii() and stem.isdigit() for stem in stems):
        numbers = [int(stem) for stem in stems]
        if len(set(numbers)) == len(numbers):
            return [*numbers]
    names = [file.with_suffix("").parts for file in files]
    for depth in range(1, 1 + max(map(len, names), default=0)):
        ids = ["/".join(parts[-depth:]) for parts in names]
        if len(set(ids)) == len(ids):
            return [*ids]
    return [file.as_posix() for file in files]


def load_photo(path: str | os.PathLike) -> np.ndarray:
    """Decode an image and turn it upright by its EXIF tag.

    Args:
        path: the image file.

    Returns:
        uint8 `(height, width, 3)` RGB.

    Raises:
        BadDataError: the image cannot be decoded.
    """
    try:
        return decode_image(path)
    except UnreadableImageError as error:
        raise BadDataError(path, "picture", str(error)) from error
