"""Photographs without annotations: which files they are, what they are called, how they look."""

from __future__ import annotations

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
    """Paths of all images among files and in folders, each once, those of a folder by name.

    Args:
        sources: paths of images, and of folders, which are searched with all folders inside.

    Raises:
        FileNotFoundError: a source does not exist.
        ValueError: no image was found, or a file is none by its suffix.
    """
    return find_images_and_others(sources)[0]


def find_images_and_others(sources: Iterable) -> tuple[list[Path], list[BadRecord]]:
    """Paths of all images, as `find_images` gives them, and pictures that cannot be opened here.

    Args:
        sources: as of `find_images`.

    Returns:
        `(paths, left out)`: of folders, what has the suffix of a picture or a film of other kinds,
        and pictures of kinds that not every installation opens and this one does not.

    Raises:
        FileNotFoundError: a source does not exist.
        ValueError: no image was found, or a file is none by its suffix.
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
            raise InvalidValueError(f"{source}: images end in {', '.join(SUFFIXES)}.")
        else:
            paths.append(source)
    if not paths:
        found = f"; left out: {', '.join(map(str, others[:5]))}" if others else ""
        raise InvalidValueError(
            f"There is no image in {', '.join(map(str, sources))}: images end in "
            f"{', '.join(SUFFIXES)}{found}."
        )
    once = {}
    for path in paths:
        once.setdefault(path.resolve(), path)
    return list(once.values()), others


def _not_opened(path: Path) -> str | None:
    """Why a file of a folder is no image to look at; None for one that is."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        return f"files of the kind {suffix} are not opened: write the picture as .jpg or .png"
    if suffix in OPTIONAL_SUFFIXES:
        try:
            image_header(path)
        except UnreadableImageError as error:
            return error.advising("write it as .jpg or .png")
    return None


def image_ids(paths) -> list[int | str]:
    """Ids under which results name images that no annotation file names.

    The number that is an image's name, where every name is one, as in COCO; else its name without
    suffix; where two images share that, the names with as many folders as tell them apart.

    Args:
        paths: of the images.

    Example:
        >>> image_ids(["a/000000000139.jpg", "a/000000000285.jpg"])
        [139, 285]
        >>> image_ids(["day/1.jpg", "night/1.jpg", "night/2.jpg"])
        ['day/1', 'night/1', 'night/2']
    """
    paths = [Path(path) for path in paths]
    stems = [path.stem for path in paths]
    if all(stem.isascii() and stem.isdigit() for stem in stems):
        numbers = [int(stem) for stem in stems]
        if len(set(numbers)) == len(numbers):
            return numbers
    names = [path.with_suffix("").parts for path in paths]
    for depth in range(1, 1 + max(map(len, names), default=0)):
        ids = ["/".join(parts[-depth:]) for parts in names]
        if len(set(ids)) == len(ids):
            return ids
    return [path.as_posix() for path in paths]


def load_photo(path) -> np.ndarray:
    """Decode a picture as a viewer shows it: turned by its EXIF tag.

    Args:
        path: the image file.

    Returns:
        uint8 `(height, width, 3)` RGB.

    Raises:
        BadDataError: it cannot be decoded.
    """
    try:
        return decode_image(path)
    except UnreadableImageError as error:
        raise BadDataError(path, "the image", str(error)) from error
