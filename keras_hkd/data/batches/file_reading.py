"""Reads image files in the graph, in parallel, in their order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_hkd.data.batches.image_cache import Canvases
from keras_hkd.data.batches.views import fit_top_left
from keras_hkd.data.dataset import Dataset
from keras_hkd.errors import InvalidValueError
from keras_hkd.tensors import Tensor

_GRAPH_SUFFIXES = (".jpg", ".jpeg", ".png")


def file_reader(dataset: Dataset) -> Callable[[Tensor], Tensor]:
    """Make a function that reads image i: uint8 (height, width, 3), refused if of another size."""
    paths = tf.constant([annotation.image_path for annotation in dataset])
    sizes = tf.constant([(annotation.height, annotation.width) for annotation in dataset], tf.int32)

    def read(index: Any) -> Tensor:
        path = tf.gather(paths, index)
        # Decodes PNG too, and with the accurate transform the very pixels that Pillow gives.
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3, dct_method="INTEGER_ACCURATE")
        message = tf.strings.join(["The image has another size than its annotation says: ", path])
        same = tf.reduce_all(tf.shape(image)[:2] == tf.gather(sizes, index))
        with tf.control_dependencies([tf.Assert(same, [message])]):
            return tf.ensure_shape(tf.identity(image), (None, None, 3))

    return read


def canvas_reader(dataset: Dataset, canvases: Canvases) -> Callable[[Tensor], Tensor]:
    """Make a function that reads image i onto its canvas: float32 (height, width, 3)."""
    read = file_reader(dataset)
    scales = tf.constant(canvases.scales, tf.float32)
    return lambda index: fit_top_left(read(index), tf.gather(scales, index), canvases.size)


def readable_in_graph(dataset: Dataset) -> bool:
    """Tell whether all images are files that TensorFlow decodes."""
    paths = [annotation.image_path for annotation in dataset]
    return type(dataset).load_image is Dataset.load_image and all(
        path.lower().endswith(_GRAPH_SUFFIXES) for path in paths
    )


def require_files(dataset: Dataset) -> None:
    """Refuse to read images in every epoch that are no files, or of other formats."""
    if not readable_in_graph(dataset):
        raise InvalidValueError(
            f"cache=False reads files while training, but {dataset.source!r} holds images that are "
            f"drawn, or are none of {', '.join(_GRAPH_SUFFIXES)}. Pass cache=True."
        )


def in_parallel(batches: tf.data.Dataset, function: Callable[..., Any]) -> tf.data.Dataset:
    """Map a function over a dataset in threads; the order stays."""
    return batches.map(function, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
