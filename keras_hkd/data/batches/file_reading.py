"""Reads images in parallel, in their order: files in the graph, canvases as caches hold them."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from keras_hkd.data.batches import cache_mode
from keras_hkd.data.batches.image_cache import (
    Canvases,
    decode_all,
    half_size_of,
    load_checked,
)
from keras_hkd.data.dataset import Dataset
from keras_hkd.data.image_files import UnreadableImageError, is_plain
from keras_hkd.tensors import Tensor


def file_reader(dataset: Dataset) -> Callable[[Tensor], Tensor]:
    """Make a function that reads image i: uint8 (height, width, 3), refused if of another size.

    Plain files are decoded in the graph; others (turned by their EXIF tag, WebP, CMYK and so on) by
    `load_image`, so that the pixels are those that all of the package sees.

    Raises:
        BadDataError: an image is missing or its header cannot be read.
    """
    paths = tf.constant([annotation.image_path or "" for annotation in dataset])
    sizes = tf.constant([(annotation.height, annotation.width) for annotation in dataset], tf.int32)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        plain = tf.constant([*pool.map(lambda i: _is_plain(dataset, i), range(len(dataset)))])

    def decode(path: Tensor) -> Tensor:
        # Decodes PNG too, and with the accurate transform the pixels that Pillow gives.
        return tf.io.decode_jpeg(tf.io.read_file(path), channels=3, dct_method="INTEGER_ACCURATE")

    def load(index: Tensor) -> Tensor:
        def at(position: int) -> np.ndarray:
            return load_checked(dataset, int(position))

        return tf.ensure_shape(
            tf.numpy_function(at, [index], tf.uint8, stateful=False), (None, None, 3)
        )

    def read(index: Any) -> Tensor:
        path = tf.gather(paths, index)
        image = tf.cond(tf.gather(plain, index), lambda: decode(path), lambda: load(index))
        message = tf.strings.join(["The image has another size than its annotation says: ", path])
        same = tf.reduce_all(tf.shape(image)[:2] == tf.gather(sizes, index))
        with tf.control_dependencies([tf.Assert(same, [message])]):
            return tf.ensure_shape(tf.identity(image), (None, None, 3))

    return read


def _is_plain(dataset: Dataset, index: int) -> bool:
    annotation = dataset[index]
    try:
        return is_plain(annotation.image_path or "", (annotation.height, annotation.width))
    except UnreadableImageError:
        load_checked(dataset, index)  # says which record it is, and what to do
        return False


def canvas_reader(
    dataset: Dataset, canvases: Canvases, num_levels: int = 1, antialias: bool = True
) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """Make a function that draws image i on its canvas when asked, by the code that fills caches.

    Args:
        dataset: the images.
        canvases: where they are drawn.
        num_levels: how many sizes of a canvas are given, each half of the one before.
        antialias: whether images are smoothed when they shrink.

    Returns:
        A function of an index that gives `num_levels` uint8 tensors `(height, width, 3)`.
    """
    sizes = [tuple(side // 2**level for side in canvases.size) for level in range(num_levels)]

    def draw(index: int) -> tuple[np.ndarray, ...]:
        levels = [canvases.draw(load_checked(dataset, int(index)), int(index), antialias)]
        while len(levels) < num_levels:
            levels.append(half_size_of(levels[-1]))
        return tuple(levels)

    def read(index: Tensor) -> tuple[Tensor, ...]:
        levels = tf.numpy_function(draw, [index], [tf.uint8] * num_levels, stateful=False)
        return tuple(
            tf.ensure_shape(level, (*size, 3)) for level, size in zip(levels, sizes, strict=True)
        )

    return read


def stored_or_drawn(
    dataset: Dataset, canvases: Canvases, cache: bool, antialias: bool
) -> Callable[[Tensor], Tensor]:
    """Give canvas i, from memory if that is asked for or they fit there, else drawn when asked."""
    num_bytes = len(dataset) * canvases.size[0] * canvases.size[1] * 3
    if cache or cache_mode.choose_mode(num_bytes, None) == "memory":
        with tf.device("CPU:0"):
            pixels = tf.constant(decode_all(dataset, canvases, antialias=antialias)[0])
        return lambda index: tf.gather(pixels, index)
    read = canvas_reader(dataset, canvases, antialias=antialias)
    return lambda index: read(index)[0]


def are_files(dataset: Dataset) -> bool:
    """Tell whether all images are files, not made by a class of their own."""
    return type(dataset).load_image is Dataset.load_image


def in_parallel(batches: tf.data.Dataset, function: Callable[..., Any]) -> tf.data.Dataset:
    """Map a function over a dataset in threads; the order stays."""
    return batches.map(function, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
