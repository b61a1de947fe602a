"""Reads representative images, from which the ranges of an int8 file are set."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np

from keras_hkd.data.batches.letterbox import Letterbox
from keras_hkd.data.image_files import SUFFIXES, decode_image
from keras_hkd.errors import InvalidValueError, MissingFileError

MAX_IMAGES = 200


def representative_array(
    source: Any,
    image_size: tuple[int, int],
    max_images: int = MAX_IMAGES,
    antialias: bool = True,
) -> np.ndarray:
    """Make an array of representative images of the file's size.

    Args:
        source: an array `(n, height, width, 3)` in [0, 255], a `keras_hkd.data.Dataset`, a folder
            of images, a `tf.data.Dataset`, or what TFLite's own converter takes, a function that
            yields `[images]`; of these two the first images are taken, and labels are set aside.
            Images of another size are letterboxed as in evaluation.
        image_size: `(height, width)` in pixels of the file.
        max_images: most images that are looked at, spread evenly over the source.
        antialias: whether images are smoothed when they shrink, as the detector wants it.

    Returns:
        float32 `(n, height, width, 3)` in [0, 255].

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: no image, another shape, or values that are not pixels in [0, 255].

    Example:

    >>> grey = np.full((2, 48, 64, 3), 127, np.uint8)
    >>> representative_array(grey, (32, 32)).shape
    (2, 32, 32, 3)
    """
    if isinstance(source, str | pathlib.Path):
        images = _from_folder(pathlib.Path(source), max_images)
    elif hasattr(source, "load_image"):
        images = [source.load_image(i) for i in _spread(len(source), max_images)]
    elif callable(source) or not hasattr(source, "__len__") or hasattr(source, "element_spec"):
        images = _from_stream(source() if callable(source) else source, max_images)
    else:
        images = _checked_array(source)
        images = images[_spread(len(images), max_images)]
    if len(images) == 0:
        raise InvalidValueError(
            "An int8 file needs `representative_images`, about 100 of the kind that the detector "
            "will see. Received: no image"
        )
    if isinstance(images, np.ndarray) and images.shape[1:3] == tuple(image_size):
        return images.astype(np.float32)
    boxed = [_letterboxed(image, image_size, antialias) for image in images]
    return np.stack(boxed).astype(np.float32)


def sample_images(image_size: tuple[int, int], num_images: int = 2) -> np.ndarray:
    """Draw a few scenes on which a file is compared with Keras if no images are given.

    Args:
        image_size: `(height, width)` in pixels.
        num_images: how many.
    """
    from keras_hkd.data.drawn.scenes import synthetic_dataset

    return representative_array(synthetic_dataset(num_images, (256, 256), seed=11), image_size)


def _from_folder(folder: pathlib.Path, max_images: int) -> list[np.ndarray]:
    if not folder.is_dir():
        raise MissingFileError(f"{folder}: there is no such folder of representative images.")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not paths:
        raise InvalidValueError(f"{folder} holds no image: images end in {', '.join(SUFFIXES)}.")
    return [decode_image(paths[i]) for i in _spread(len(paths), max_images)]


def _from_stream(source: Any, max_images: int) -> list | np.ndarray:
    """Take the first images of batches or single images, or of tuples and dicts that have them."""
    images = []
    for element in source:
        if isinstance(element, dict):
            element = element.get("images", next(iter(element.values()), None))
        elif isinstance(element, (tuple, list)) and len(element):
            element = element[0]
        batch = np.asarray(element)
        images.extend(_checked_array(batch[None] if batch.ndim == 3 else batch))
        if len(images) >= max_images:
            break
    images = images[:max_images]
    return np.stack(images) if len({image.shape for image in images}) == 1 else images


def _spread(length: int, most: int) -> np.ndarray:
    return np.unique(np.linspace(0, length - 1, min(length, most)).round().astype(int))


def _checked_array(source: Any) -> np.ndarray:
    try:
        images = np.asarray(source)
        numeric = images.dtype.kind in "uif"
    except ValueError:  # images of several sizes
        images, numeric = np.zeros(0), False
    if not numeric or images.ndim != 4 or images.shape[-1] != 3:
        raise InvalidValueError(
            "`representative_images` must be an array (n, height, width, 3), a dataset, a "
            "folder, a tf.data.Dataset of images, or a function that yields [images]. "
            f"Received: {type(source).__name__} of shape {images.shape}"
        )
    if images.size == 0:
        return images
    low, high = float(images.min()), float(images.max())
    if not (0.0 <= low and 1.0 < high <= 255.0):  # a NaN fails too
        raise InvalidValueError(
            "`representative_images` must hold pixels in [0, 255]: the detector rescales itself. "
            f"Received: values from {low:g} to {high:g}"
        )
    return images


def _letterboxed(image: np.ndarray, image_size: tuple[int, int], antialias: bool) -> np.ndarray:
    image = np.asarray(image)
    if image.dtype != np.uint8:
        image = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return Letterbox.fit(image.shape[:2], image_size).resize(image, antialias)
