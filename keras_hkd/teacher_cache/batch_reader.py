"""Reads the stored outputs of the batches of a training."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from keras_hkd.data.batches.augmentation import NO_AUGMENTATION
from keras_hkd.data.batches.label_table import letterbox_scales
from keras_hkd.teacher_cache import stored_detections
from keras_hkd.teacher_cache.cache_key import REPLAY
from keras_hkd.tensors import Tensor

if TYPE_CHECKING:
    from keras_hkd.data import Augmentation, Dataset
    from keras_hkd.teacher_cache.cache import TeacherCache
    from keras_hkd.teacher_cache.row_format import RowFormat
    from keras_hkd.teacher_cache.shards import Shards


def batch_reader(
    cache: TeacherCache, dataset: Dataset, augmentation: Augmentation | None
) -> Callable[[Tensor, Tensor, Tensor], dict[str, Any]]:
    """Make the function that reads the stored outputs of a batch.

    Args:
        cache: a `TeacherCache`.
        dataset: the images that the cache was built for.
        augmentation: the augmentation of the training, or None.

    Returns:
        A function from image numbers `(batch,)`, random numbers of their views `(batch, 11)` and
        numbers of their epochs `(batch,)` to a dict that `TeacherCache.outputs` takes.
    """
    replays, moves = cache.mode == REPLAY, augmentation or NO_AUGMENTATION
    content_sizes = None
    if replays:
        sizes = np.array([(image.height, image.width) for image in dataset])
        scales = letterbox_scales(dataset, cache.image_size)
        with tf.device("CPU:0"):
            content_sizes = tf.constant(sizes * scales[:, None], tf.float32)

    def read(indices: Tensor, draws: Tensor, epochs: Tensor) -> dict[str, Any]:
        """Read the outputs for image numbers, with drawn numbers and numbers of epochs."""
        rows = tf.cast(indices, tf.int64)
        if cache.views is not None:
            rows += cache.views.view_of(tf.cast(epochs, tf.int64)) * cache.num_images
        values = stored_rows(cache.row_format, cache.shards, rows)
        found = stored_detections.decode(values, cache.image_size)
        if replays:
            shown = tf.gather(content_sizes, indices)
            found = stored_detections.replay(found, moves, draws, shown, cache.image_size)
        others = {k: v for k, v in values.items() if not k.startswith("detections/")}
        return {"detections": found, **others}

    return read


def stored_rows(row_format: RowFormat, shards: Shards, rows: Tensor) -> dict[str, Any]:
    """Read and unpack rows, in TensorFlow.

    Args:
        row_format: the format of the rows.
        shards: the files that hold them.
        rows: int64 `(batch,)`, numbers of the rows.

    Returns:
        See `RowFormat.unpack`.
    """

    def read(numbers: np.ndarray) -> list[np.ndarray]:
        return tf.nest.flatten(row_format.unpack(list(map(shards.row, numbers))))

    none = row_format.unpack([])  # the structure, with shapes and kinds of numbers
    kinds = tf.nest.flatten(none)
    found = tf.numpy_function(read, [rows], [kind.dtype for kind in kinds], stateful=False)
    found = [
        tf.ensure_shape(values, (rows.shape[0], *kind.shape[1:]))
        for values, kind in zip(found, kinds, strict=True)
    ]
    return tf.nest.pack_sequence_as(none, found)
