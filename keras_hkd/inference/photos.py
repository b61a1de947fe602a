"""Photographs without annotations: which files they are, what they are called, how they look."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.image_files import SUFFIXES, UnreadableImageError, decode_image

_EXIF_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def find_images(sources) -> list[Path]:
    """Paths of all images among files and in folders, each once, those of a folder by name.

    Args:
        sources: paths of images, and of folders, which are searched with all folders inside.

    Raises:
        FileNotFoundError: a source does not exist.
        ValueError: no image was found, or a file is none by its suffix.
    """
    paths = []
    for source in map(Path, sources):
        if source.is_dir():
            inside = source.rglob("*")
            paths += sorted(p for p in inside if p.suffix.lower() in SUFFIXES and p.is_file())
        elif not source.exists():
            raise FileNotFoundError(f"{source}: there is no such image or folder.")
        elif source.suffix.lower() not in SUFFIXES:
            raise ValueError(f"{source}: images end in {', '.join(SUFFIXES)}.")
        else:
            paths.append(source)
    if not paths:
        raise ValueError(
            f"There is no image in {', '.join(map(str, sources))}: images end in "
            f"{', '.join(SUFFIXES)}."
        )
    once = {}
    for path in paths:
        once.setdefault(path.resolve(), path)
    return list(once.values())


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
    """Decode a picture as a viewer shows it: turned by its EXIF tag, which COCO leaves aside.

    Args:
        path: the image file.

    Returns:
        uint8 `(height, width, 3)` RGB.

    Raises:
        BadDataError: it cannot be decoded.
    """
    try:
        pixels = decode_image(path)
    except UnreadableImageError as error:
        raise BadDataError(path, "the image", str(error)) from error
    turn = _TURNS.get(_orientation(path))
    return pixels if turn is None else np.asarray(Image.fromarray(pixels).transpose(turn))


def _orientation(path) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd EXIF blocks
        try:
            with Image.open(path) as image:
                return image.getexif().get(_EXIF_ORIENTATION, 1)
        except Exception:  # an unreadable tag turns nothing
            return 1
