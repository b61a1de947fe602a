"""Batches of pictures that are put together from several images, and batches of several sizes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from keras_hkd.data.batches import cache_mode
from keras_hkd.data.batches.augmentation import Augmentation
from keras_hkd.data.batches.epoch_plan import EpochPlan
from keras_hkd.data.batches.file_reading import canvas_reader, in_parallel
from keras_hkd.data.batches.image_cache import Canvases, decode_all, half_size_of
from keras_hkd.data.batches.label_table import LabelTable
from keras_hkd.data.batches.mixed_views import MixedViewMaker
from keras_hkd.data.batches.mixing_plan import MixingPlan
from keras_hkd.data.batches.pasted_people import Donors
from keras_hkd.data.dataset import Dataset
from keras_hkd.tensors import Tensor

CACHE_OVERSIZE = 1.5
"""Cached pictures are kept this much larger than the frame, so that zooming in stays sharp."""

USUAL_PLACES = 50
"""Places for people in mixed pictures, unless one image has more or fewer can come together."""


def mixed_batches(
    dataset: Dataset,
    epoch_plan: EpochPlan,
    augmentation: Augmentation,
    *,
    frame_size: tuple[int, int],
    first_epoch: int,
    max_boxes: int | None,
    cache: cache_mode.CacheMode,
    ignore_regions: bool,
) -> Any:
    """Yield the batches of `training_batches` for an augmentation that mixes.

    Args:
        dataset: the images; of two streams, all of them.
        epoch_plan: which images are seen when.
        augmentation: how images vary.
        frame_size: `(height, width)` of the batches, where the augmentation names no sizes.
        first_epoch: epoch to begin with.
        max_boxes: places for people, or None.
        cache: "memory", "none", or "auto" for memory if the images fit there.
        ignore_regions: also give `ignore_boxes`.

    Raises:
        ValueError: `cache="disk"`.
    """
    cache_mode.check_mixing(cache, augmentation.mixing)
    sizes = augmentation.sizes or (frame_size,)
    largest = max(height for height, _ in sizes), max(width for _, width in sizes)
    tables = [LabelTable.collect(dataset, size, max_boxes) for size in sizes]
    donors = Donors.none()
    canvases = Canvases.plan(
        dataset, (int(CACHE_OVERSIZE * largest[0]), int(CACHE_OVERSIZE * largest[1]))
    )
    if augmentation.copy_paste:
        labels = LabelTable.collect(dataset, largest, max_boxes)
        donors = Donors.find(labels, canvases.source_sizes * labels.scales[:, None])
    plan = MixingPlan(augmentation, epoch_plan, epoch_plan.streams[0].seed, donors)
    places = max_boxes or _places(tables[0].boxes.shape[1], plan)
    makers = [
        MixedViewMaker(augmentation, size, labels, canvases, donors, places, ignore_regions)
        for size, labels in zip(sizes, tables, strict=True)
    ]
    rows = tf.data.Dataset.counter(first_epoch).flat_map(
        lambda epoch: tf.data.Dataset.from_tensor_slices(plan.epoch(epoch))
    )
    batch_size = epoch_plan.rows_per_batch
    if cache == "auto":
        height, width = canvases.size
        cache = cache_mode.choose_mode(len(dataset) * height * width * 63 // 16, None)
    if cache == "memory":
        levels = _decoded(dataset, canvases)
        rows = rows.batch(batch_size, drop_remainder=True)
        return in_parallel(rows, lambda row: _make(makers, levels, row["images"], row))
    rows = in_parallel(rows, _file_levels(canvas_reader(dataset, canvases, 3), canvases.size))
    rows = rows.batch(batch_size, drop_remainder=True)
    return in_parallel(rows, functools.partial(_from_batch, makers))


def _places(most_in_an_image: int, plan: MixingPlan) -> int:
    slots = plan.slots
    together = most_in_an_image * (1 + slots.tiles + slots.blends) + slots.people
    return min(together, max(USUAL_PLACES, most_in_an_image + slots.people))


def _decoded(dataset: Dataset, canvases: Canvases) -> tuple[Tensor, ...]:
    full, half = decode_all(dataset, canvases, half_size=True)
    quarter = np.stack([half_size_of(one) for one in half])
    with tf.device("CPU:0"):
        return tuple(map(tf.constant, (full, half, quarter)))


def _make(
    makers: list[MixedViewMaker], levels: tuple[Tensor, ...], places: Tensor, row: dict[str, Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Make a batch of the size that was drawn for it."""
    if len(makers) == 1:
        return makers[0].make(levels, places, row)
    branches = [functools.partial(maker.make, levels, places, row) for maker in makers]
    return tf.switch_case(row["sizes"][0], branches)


def _file_levels(
    read: Callable[[Tensor], tuple[Tensor, ...]], size: tuple[int, int]
) -> Callable[[dict[str, Tensor]], tuple[dict[str, Tensor], tuple[Tensor, ...]]]:
    """Make a function that adds to a row its images, each at three sizes."""

    def nothing() -> tuple[Tensor, ...]:
        sides = [tuple(side // 2**level for side in size) for level in range(3)]
        return tuple(tf.zeros((*one, 3), tf.uint8) for one in sides)

    def read_row(row: dict[str, Tensor]) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        images = tf.unstack(row["images"])
        used = tf.unstack(row["used"])
        found = [read(images[0])] + [
            tf.cond(needed, functools.partial(read, image), nothing)
            for image, needed in zip(images[1:], used[1:], strict=True)
        ]
        return row, tuple(tf.stack(level) for level in zip(*found, strict=True))

    return read_row


def _from_batch(
    makers: list[MixedViewMaker], row: dict[str, Tensor], levels: tuple[Tensor, ...]
) -> tuple[Tensor, dict[str, Tensor]]:
    num_rows, num_places = row["images"].shape
    flat = tuple(tf.reshape(one, (num_rows * num_places, *one.shape[2:])) for one in levels)
    places = tf.reshape(tf.range(num_rows * num_places), (num_rows, num_places))
    return _make(makers, flat, places, row)
