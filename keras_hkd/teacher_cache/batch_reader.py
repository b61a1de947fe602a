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


def batch_reader(
    cache: TeacherCache, dataset: Dataset, augmentation: Augmentation | None
) -> Callable[[Tensor, Tensor, Tensor], dict[str, Any]]:
    """Makes the function that reads the stored outputs of a batch.

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
        """Reads the outputs for image numbers, with drawn numbers and numbers of epochs."""
        rows = tf.cast(indices, tf.int64)
        if cache.views is not None:
            rows += cache.views.view_of(tf.cast(epochs, tf.int64)) * cache.num_images
        values = cache.row_format.unpack(cache.shards.gather(rows))
        values = tf.nest.map_structure(
            lambda value: tf.ensure_shape(value, (indices.shape[0], *value.shape[1:])), values
        )
        found = stored_detections.decode(values, cache.image_size)
        if replays:
            shown = tf.gather(content_sizes, indices)
            found = stored_detections.replay(found, moves, draws, shown, cache.image_size)
        others = {k: v for k, v in values.items() if not k.startswith("detections/")}
        return {"detections": found, **others}

    return read
