"""Makes batches of annotated images in `tf.data`, without Python per image once started."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_hkd import checks
from keras_hkd.data.batches import cache_mode, disk_cache
from keras_hkd.data.batches.augmentation import NO_AUGMENTATION, Augmentation, draw_numbers
from keras_hkd.data.batches.epoch_plan import EpochPlan
from keras_hkd.data.batches.file_reading import (
    are_files,
    canvas_reader,
    file_reader,
    in_parallel,
    stored_or_drawn,
)
from keras_hkd.data.batches.image_cache import Canvases, decode_all
from keras_hkd.data.batches.label_table import LabelTable, letterbox_scales
from keras_hkd.data.batches.mixed_batches import CACHE_OVERSIZE, mixed_batches
from keras_hkd.data.batches.semi_supervised import SemiSupervisedDataset
from keras_hkd.data.batches.stored_views import StoredViews
from keras_hkd.data.batches.views import ViewMaker, fit_top_left
from keras_hkd.data.dataset import Dataset
from keras_hkd.errors import InvalidValueError
from keras_hkd.tensors import Tensor


def steps_per_epoch(dataset: Dataset | SemiSupervisedDataset, batch_size: int) -> int:
    """Count the training batches of one epoch: the whole batches that the images give.

    Args:
        dataset: the training images; of two streams, twice the batches of the labelled images.
        batch_size: images per batch.

    Raises:
        ValueError: the batch size is not a whole number from 1 to the number of images.

    Example:

    >>> steps_per_epoch(range(10), batch_size=4)
    2
    """
    if isinstance(dataset, SemiSupervisedDataset):
        return 2 * steps_per_epoch(dataset.labelled, batch_size)
    checks.whole("batch_size", batch_size, low=1)
    if batch_size > len(dataset):
        raise InvalidValueError(
            f"An epoch must have a whole batch, and the dataset holds {len(dataset)} images. Take "
            f"a smaller batch size, or more images. Received: batch_size={batch_size}"
        )
    return len(dataset) // batch_size


def training_batches(
    dataset: Dataset | SemiSupervisedDataset,
    *,
    image_size: tuple[int, int],
    batch_size: int,
    seed: int,
    first_epoch: int = 0,
    max_boxes: int | None = None,
    augmentation: Augmentation | None = Augmentation(),  # noqa: B008 (frozen)
    cache: str | bool = "auto",
    cache_folder: str | os.PathLike | None = None,
    ignore_regions: bool = False,
    stored: Any = None,
    share: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """Yield shuffled, augmented batches without end, the same for the same seed.

    Epoch e is a permutation drawn from (seed, e), less the images that do not fill a batch; image
    i is augmented in it by numbers drawn from (seed, e, i), and mixed with others by numbers drawn
    from (seed, e) and its place in the permutation. A stream from `first_epoch=e`
    is therefore bit-identical to an uninterrupted one from its epoch e on.

    Args:
        dataset: the images; a `SemiSupervisedDataset` gives batches of its two streams in turn.
        image_size: `(height, width)` of the batches in pixels, unless `augmentation.sizes` gives
            others.
        batch_size: images per batch.
        seed: whole number of at least 0.
        first_epoch: epoch to begin with.
        max_boxes: places for people per image; by default the largest count in the set, and of
            mixed pictures at least 50 if so many can come together. Of more people the largest are
            kept.
        augmentation: how images vary; None for letterboxing alone.
        cache: where decoded images are kept, which changes no bit of the batches: "memory" (or
            True), "disk", "none" (or False) to decode them in every epoch, or "auto" for memory if
            they fit there, else disk if they fit there, else none.
        cache_folder: folder of the disk mode, which runs share; None for the environment variable
            `KERAS_HKD_CACHE_FOLDER`, or `~/.cache/keras_hkd/pictures`.
        ignore_regions: also give `ignore_boxes`: ignore regions, and the people partly in view
            that are not labels (cut off, too small, or above `max_boxes`).
        stored: what a teacher said about these images beforehand, a `keras_hkd.TeacherCache`,
            which labels then hold as `teacher`; its `training_batches` checks that they fit.
        share: `(index, count)`: of `count` processes that share every batch, the rows of number
            `index`; all shares together, in order, are the batch.

    Returns:
        A `tf.data.Dataset` of `(images, labels)`: images float32 `(batch_size, height, width, 3)`
        RGB in [0, 255]; labels `boxes` float32 `(batch_size, max_boxes, 4)` xyxy pixels, `classes`
        float32 `(batch_size, max_boxes)`, and on request `ignore_boxes` float32
        `(batch_size, num_ignore, 4)`, all padded with -1 at the end. `steps_per_epoch(dataset,
        batch_size)` batches make an epoch. With `share`, `batch_size / count` rows of each. With
        `augmentation.sizes` height and width are those of each batch.

    Raises:
        ValueError: an argument is out of range, or `cache="disk"` with images that have no file,
            or no room for them.
        MemoryError: `cache="memory"` with images that do not fit.
        BadDataError: an image cannot be read.
    """
    frame_size = checks.image_size("image_size", image_size)
    mode = cache_mode.checked_mode("cache", cache)
    steps_per_epoch(dataset, batch_size)  # refuses a batch size that does not fit
    checks.whole("seed", seed)
    checks.whole("first_epoch", first_epoch)
    views = None if stored is None else stored.views
    epochs = EpochPlan(dataset, batch_size, seed, views, share)
    plan_epoch, batch_size = epochs.epoch, epochs.rows_per_batch
    if isinstance(dataset, SemiSupervisedDataset):
        dataset = dataset.images
    if augmentation is not None and augmentation.mixes:
        if stored is not None:
            _refuse_mixing(augmentation)
        return mixed_batches(
            dataset,
            epochs,
            augmentation,
            frame_size=frame_size,
            first_epoch=first_epoch,
            max_boxes=max_boxes,
            cache=mode,
            ignore_regions=ignore_regions,
        ).prefetch(2)
    labels = _collect_labels(dataset, frame_size, max_boxes)
    plan = tf.data.Dataset.counter(first_epoch).flat_map(
        lambda epoch: tf.data.Dataset.from_tensor_slices(plan_epoch(epoch))
    )
    views_of = _Views(dataset, frame_size, labels, augmentation, ignore_regions)
    batches = views_of.batches(plan, batch_size, mode, cache_folder)
    if stored is not None:
        taught = _stored_batches(stored, plan_epoch, first_epoch, batch_size)
        batches = tf.data.Dataset.zip(batches, taught).map(
            lambda batch, teacher: (batch[0], {**batch[1], "teacher": teacher})
        )
    return batches.prefetch(2)


def stored_view_batches(
    dataset: Dataset,
    rows: Any,
    *,
    image_size: tuple[int, int],
    batch_size: int,
    views: StoredViews | None = None,
    augmentation: Augmentation | None = None,
    cache: str | bool = "auto",
    cache_folder: str | os.PathLike | None = None,
) -> tf.data.Dataset:
    """Yield the images that training will see, for a teacher to predict on beforehand.

    Row r is view r // n of image r % n, of n images.

    Args:
        dataset: the images.
        rows: numbers of the rows wanted.
        image_size: `(height, width)` of the batches in pixels.
        batch_size: images per batch; the last batch is filled up with its last row.
        views: which views there are; None for one, where nothing is drawn at random.
        augmentation: how views vary; None for letterboxing alone.
        cache: see `training_batches`; "auto" keeps nothing where each image is seen once.
        cache_folder: see `training_batches`.

    Returns:
        A finite `tf.data.Dataset` of float32 `(batch_size, height, width, 3)` RGB in [0, 255].

    Raises:
        ValueError: an argument is out of range, or `cache="disk"` with images that have no file.
        BadDataError: an image cannot be read.
    """
    frame_size = checks.image_size("image_size", image_size)
    mode = cache_mode.checked_mode("cache", cache)
    checks.whole("batch_size", batch_size, low=1)
    if augmentation is not None and augmentation.mixes:
        _refuse_mixing(augmentation)
    views = views or StoredViews(1)
    rows = np.asarray(rows, np.int64)
    if mode == "auto" and len(np.unique(rows % len(dataset))) == len(np.unique(rows)):
        mode = "none"
    rows = np.pad(rows, (0, -len(rows) % batch_size), mode="edge")
    draws = tf.stack([draw_numbers(views.seed, v, len(dataset)) for v in range(views.count)])
    indices = (rows % len(dataset)).astype(np.int32)
    drawn = tf.gather_nd(draws, np.stack([rows // len(dataset), indices], axis=1))
    plan = tf.data.Dataset.from_tensor_slices((indices, drawn))
    labels = _collect_labels(dataset, frame_size, None)
    views_of = _Views(dataset, frame_size, labels, augmentation, ignore_regions=False)
    batches = views_of.batches(plan, batch_size, mode, cache_folder)
    return batches.map(lambda images, labels: images).prefetch(2)


class _Views:
    """Makes batches of images and labels from a plan of image numbers and drawn numbers."""

    def __init__(
        self,
        dataset: Dataset,
        frame_size: tuple[int, int],
        labels: LabelTable,
        augmentation: Augmentation | None,
        ignore_regions: bool,
    ) -> None:
        self.dataset = dataset
        height, width = (int(CACHE_OVERSIZE * side) for side in frame_size)
        self.canvases = Canvases.plan(dataset, (height, width))
        augmentation = augmentation or NO_AUGMENTATION
        self.make = ViewMaker(augmentation, frame_size, labels, self.canvases, ignore_regions)

    def batches(
        self,
        plan: Any,
        batch_size: int,
        mode: cache_mode.CacheMode,
        folder: str | os.PathLike | None,
    ) -> Any:
        parent = cache_mode.cache_folder(folder)
        if mode == "auto":
            mode = self._chosen(parent)
        if mode == "none":
            return self._from_files(plan, batch_size)
        plan = plan.batch(batch_size, drop_remainder=True)
        if mode == "disk":
            mapped = disk_cache.DiskCache(self.dataset, self.canvases, parent).open()
            return mapped.bounded(self._from_cache(plan, mapped.full, mapped.half), batch_size)
        with tf.device("CPU:0"):
            pixels = map(tf.constant, decode_all(self.dataset, self.canvases, half_size=True))
            return self._from_cache(plan, *pixels)

    def _chosen(self, parent: Path) -> cache_mode.CacheMode:
        height, width = self.canvases.size
        num_bytes = len(self.dataset) * height * width * 15 // 4  # with the halves
        mode = cache_mode.choose_mode(num_bytes, None)
        if mode != "memory" and disk_cache.is_cacheable(self.dataset):
            held = disk_cache.DiskCache(self.dataset, self.canvases, parent).held_bytes
            mode = cache_mode.choose_mode(num_bytes, parent, held)
        cache_mode.announce(mode, num_bytes, parent)
        return mode

    def _from_cache(self, plan: Any, full: Tensor, half: Tensor) -> Any:
        return in_parallel(
            plan, lambda indices, draws: self.make.from_cache(full, half, indices, draws)
        )

    def _from_files(self, plan: Any, batch_size: int) -> Any:
        """Draw each canvas when its turn comes, by the code that fills the caches."""
        read = canvas_reader(self.dataset, self.canvases, num_levels=2)
        plan = in_parallel(plan, lambda index, draws: (index, draws, *read(index)))
        plan = plan.batch(batch_size, drop_remainder=True)
        return in_parallel(  # pictures of the next batch are decoded meanwhile
            plan, lambda rows, draws, full, half: self.make.from_batch(full, half, rows, draws)
        )


def _stored_batches(stored: Any, plan_epoch: Any, first_epoch: int, batch_size: int) -> Any:
    """Yield what is stored for the images of `training_batches`, batch by batch."""

    def numbered(epoch: Tensor) -> Any:
        indices, draws = plan_epoch(epoch)
        return tf.data.Dataset.from_tensor_slices(
            (indices, draws, tf.fill(tf.shape(indices), epoch))
        )

    plan = tf.data.Dataset.counter(first_epoch).flat_map(numbered)
    return in_parallel(plan.batch(batch_size, drop_remainder=True), stored.read)


def evaluation_batches(
    dataset: Dataset,
    *,
    image_size: tuple[int, int],
    batch_size: int,
    max_boxes: int | None = None,
    cache: bool = False,
    ignore_regions: bool = False,
) -> tf.data.Dataset:
    """Yield every image once, in order, letterboxed, with its labels.

    Args:
        dataset: the images.
        image_size: `(height, width)` of the batches in pixels.
        batch_size: images per batch; the last batch holds what is left.
        max_boxes: places for people per image; by default the largest count in the set.
        cache: decode the images once into memory; images that are no files are in any case, if they
            fit.
        ignore_regions: also give `ignore_boxes`.

    Returns:
        A finite `tf.data.Dataset` of `(images, labels)` as `training_batches` gives them, the
        first axis not static. All people are labels, however small.

    Raises:
        ValueError: an argument is out of range.
        BadDataError: an image cannot be read.
    """
    frame_size = checks.image_size("image_size", image_size)
    images = _letterboxed(dataset, frame_size, batch_size, cache)
    labels = _collect_labels(dataset, frame_size, max_boxes)
    columns = {"boxes": labels.boxes, "classes": labels.classes}
    if ignore_regions:
        columns["ignore_boxes"] = labels.ignore_boxes
    labels = tf.data.Dataset.from_tensor_slices(columns)
    return tf.data.Dataset.zip(images, labels).batch(batch_size).prefetch(2)


def prediction_batches(
    dataset: Dataset,
    *,
    image_size: tuple[int, int],
    batch_size: int,
    cache: bool = False,
    antialias: bool = True,
) -> tf.data.Dataset:
    """Yield every image once, in order, letterboxed, without labels.

    `Letterbox.fit((annotation.height, annotation.width), image_size).invert(boxes)` brings boxes
    that are found in them back to the original image.

    Args:
        dataset: the images.
        image_size: `(height, width)` of the batches in pixels.
        batch_size: images per batch; the last batch holds what is left.
        cache: decode the images once into memory; images that are no files are in any case, if they
            fit.
        antialias: whether images are smoothed when they shrink, as the detector wants it.

    Returns:
        A finite `tf.data.Dataset` of float32 `(b, height, width, 3)` RGB in [0, 255].

    Raises:
        ValueError: an argument is out of range.
        BadDataError: an image cannot be read.
    """
    frame_size = checks.image_size("image_size", image_size)
    images = _letterboxed(dataset, frame_size, batch_size, cache, antialias)
    return images.batch(batch_size).prefetch(2)


def _refuse_mixing(augmentation: Augmentation) -> None:
    raise InvalidValueError(
        "What a teacher said beforehand belongs to views of single images at one size: it goes "
        "with no mosaic, mixup, copy_paste or sizes. Leave them out, or train with the teacher "
        f"itself. Received: {augmentation.mixing}"
    )


def _collect_labels(
    dataset: Dataset, frame_size: tuple[int, int], max_boxes: int | None
) -> LabelTable:
    if max_boxes is not None:
        checks.whole("max_boxes", max_boxes, low=1)
    return LabelTable.collect(dataset, frame_size, max_boxes)


def _letterboxed(
    dataset: Dataset,
    frame_size: tuple[int, int],
    batch_size: int,
    cache: bool,
    antialias: bool = True,
) -> tf.data.Dataset:
    checks.whole("batch_size", batch_size, low=1)
    if not len(dataset):
        raise InvalidValueError("`dataset` must hold at least one image. Received: none")
    canvases = Canvases.plan(dataset, frame_size)
    order = tf.data.Dataset.range(len(dataset))
    if cache or not are_files(dataset):
        canvas = stored_or_drawn(dataset, canvases, cache, antialias)
        scales = letterbox_scales(dataset, frame_size) / canvases.scales
        contents = canvases.content_sizes

        def content(index: Tensor) -> Tensor:
            height, width = tf.unstack(tf.gather(contents, index))
            return canvas(index)[:height, :width]

        read: Callable[[Tensor], Tensor] = content
    else:
        read = file_reader(dataset)
        scales = letterbox_scales(dataset, frame_size)
    scales = tf.constant(scales, tf.float32)
    return in_parallel(
        order, lambda i: fit_top_left(read(i), tf.gather(scales, i), frame_size, antialias)
    )
