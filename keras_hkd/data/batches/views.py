"""Batches of training views from pictures on canvases, in the graph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from keras_hkd.data.batches.augmentation import (
    Augmentation,
    View,
    change_colours,
    plan_views,
    sample_windows,
    view_boxes,
)
from keras_hkd.data.batches.image_cache import Canvases
from keras_hkd.data.batches.label_table import LabelTable
from keras_hkd.data.batches.letterbox import PADDING_GREY
from keras_hkd.tensors import Tensor

_MAX_STEP_ON_FULL_CANVAS = 1.75
"""Above this many canvas pixels per frame pixel the half-size canvas is read, against aliasing."""


class SetOnCanvases:
    """Where the pictures of a set lie on their canvases, and what they show, as tensors.

    Args:
        labels: the labels of the set at the size of the batches.
        canvases: how the pictures lie on their canvases.

    Attributes:
        content_sizes: float32 `(n, 2)`, height and width of the letterboxed pictures.
        canvas_scales: float32 `(n,)`, pixels of a canvas per letterboxed pixel.
        boxes: float32 `(n, m, 4)`; `classes (n, m)` and `ignore_boxes (n, k, 4)` likewise.
    """

    def __init__(self, labels: LabelTable, canvases: Canvases) -> None:
        contents = canvases.source_sizes * labels.scales[:, None]
        scales = labels.scales / canvases.scales
        with tf.device("CPU:0"):
            self.content_sizes = tf.constant(contents, tf.float32)
            self.canvas_scales = tf.constant(1 / scales, tf.float32)
            self.boxes, self.classes = tf.constant(labels.boxes), tf.constant(labels.classes)
            self.ignore_boxes = tf.constant(labels.ignore_boxes)


class ViewMaker:
    """Turns image numbers and drawn numbers into one batch of augmented images and labels.

    Args:
        augmentation: how images vary.
        frame_size: `(height, width)` of the batches in pixels.
        labels: the labels of the set.
        canvases: how the pictures lie on their canvases.
        ignore_regions: whether the labels hold `ignore_boxes`.
    """

    def __init__(
        self,
        augmentation: Augmentation,
        frame_size: tuple[int, int],
        labels: LabelTable,
        canvases: Canvases,
        ignore_regions: bool,
    ) -> None:
        self.augmentation, self.frame_size = augmentation, frame_size
        self.ignore_regions = ignore_regions
        self._set = SetOnCanvases(labels, canvases)

    def from_cache(
        self, full: Tensor, half: Tensor, indices: Tensor, draws: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Make the views of images that lie in memory.

        Args:
            full: uint8 `(n, canvas height, canvas width, 3)`, all images of the set.
            half: uint8, the same at half the size.
            indices: int32 `(b,)`, positions in the set.
            draws: float32 `(b, 11)` of `draw_numbers`.

        Returns:
            float32 `(b, height, width, 3)` in [0, 255], and the labels.
        """
        return self._make(full, half, indices, indices, draws)

    def from_batch(
        self, full: Tensor, half: Tensor, indices: Tensor, draws: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Make the views of the images of one batch.

        Args:
            full: uint8 `(b, canvas height, canvas width, 3)`, the images of the batch.
            half: uint8, the same at half the size.
            indices: int32 `(b,)`, their positions in the set.
            draws: float32 `(b, 11)` of `draw_numbers`.

        Returns:
            float32 `(b, height, width, 3)` in [0, 255], and the labels.
        """
        return self._make(full, half, tf.range(draws.shape[0]), indices, draws)

    def _make(
        self, full: Tensor, half: Tensor, places: Tensor, indices: Tensor, draws: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        content_sizes = tf.gather(self._set.content_sizes, indices)
        scales = tf.gather(self._set.canvas_scales, indices)
        view = plan_views(self.augmentation, draws, content_sizes, self.frame_size)
        images = read_views((full, half), places, view, scales, self.frame_size)
        return change_colours(images, view), self._labels(indices, view)

    def _labels(self, indices: Tensor, view: View) -> dict[str, Tensor]:
        classes = tf.gather(self._set.classes, indices)
        boxes, visible = view_boxes(tf.gather(self._set.boxes, indices), view, self.frame_size)
        sides = tf.minimum(boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1])
        is_person = classes >= 0
        kept = is_person & (visible >= self.augmentation.min_visible)
        kept &= sides >= self.augmentation.min_side_px
        rows = front(tf.concat([boxes, classes[..., None]], axis=-1), kept)
        labels = {"boxes": rows[..., :4], "classes": rows[..., 4]}
        if self.ignore_regions:
            cut_off = is_person & ~kept & (visible > 0)
            labels["ignore_boxes"] = self._ignored(indices, view, boxes, cut_off)
        return labels

    def _ignored(self, indices: Tensor, view: View, boxes: Tensor, cut_off: Tensor) -> Tensor:
        regions = tf.gather(self._set.ignore_boxes, indices)
        is_region = regions[..., 0] >= 0
        regions, visible = view_boxes(regions, view, self.frame_size)
        rows = tf.concat([regions, boxes], axis=1)
        return front(rows, tf.concat([is_region & (visible > 0), cut_off], axis=1))


def read_views(
    canvases: Sequence[Tensor],
    places: Tensor,
    view: View,
    canvas_scales: Tensor,
    frame_size: tuple[int, int],
) -> Tensor:
    """Sample views from pictures on canvases, each from the canvas whose pixels are fine enough.

    Args:
        canvases: uint8 or float32 `(n, height, width, 3)`, then the same pictures at half the size,
            and so on.
        places: int32 `(b,)`, which of the n.
        view: b views.
        canvas_scales: float32 `(b,)`, pixels of the largest canvas per letterboxed pixel.
        frame_size: `(height, width)` in pixels.

    Returns:
        float32 `(b, height, width, 3)` RGB in [0, 255], grey 114 beyond the canvas.
    """
    windows = sample_windows(view, canvas_scales, frame_size)
    steps = tf.reduce_max(canvas_scales[:, None] / view.scales, axis=-1)
    limits = _MAX_STEP_ON_FULL_CANVAS * 2.0 ** np.arange(len(canvases) - 1)
    levels = tf.reduce_sum(tf.cast(steps[:, None] > limits.astype(np.float32), tf.int32), axis=1)
    rows = tf.dynamic_partition(tf.range(tf.shape(levels)[0]), levels, len(canvases))
    crops = [
        _crop(pixels, tf.gather(windows, row) / 2**level, tf.gather(places, row), frame_size)
        for level, (pixels, row) in enumerate(zip(canvases, rows, strict=True))
    ]
    images = tf.dynamic_stitch(rows, crops)
    return tf.ensure_shape(images, (places.shape[0], *frame_size, 3))


def _crop(pixels: Tensor, windows: Tensor, places: Tensor, frame_size: tuple[int, int]) -> Tensor:
    height, width = pixels.shape[1:3]
    last = tf.constant([max(height - 1, 1), max(width - 1, 1)] * 2, tf.float32)
    return tf.image.crop_and_resize(
        pixels, (windows - 0.5) / last, places, frame_size, extrapolation_value=PADDING_GREY
    )


def fit_top_left(
    image: Tensor, scale: Tensor, target_size: tuple[int, int], antialias: bool = True
) -> Tensor:
    """Letterbox one image in the graph.

    Args:
        image: uint8 `(height, width, 3)`.
        scale: float32 scalar, target pixels per pixel of the image.
        target_size: `(height, width)` in pixels.
        antialias: whether it is smoothed when it shrinks (triangle filter).

    Returns:
        float32 `(*target_size, 3)` in [0, 255], grey 114 right of and below the picture.
    """
    shifted = tf.cast(image, tf.float32) - PADDING_GREY  # what the op leaves out is 0
    resized = tf.raw_ops.ScaleAndTranslate(
        images=shifted[None],
        size=target_size,
        scale=tf.stack([scale, scale]),
        translation=[0.0, 0.0],
        kernel_type="triangle",
        antialias=antialias,
    )[0]
    resized = tf.ensure_shape(resized, (*target_size, 3))
    return tf.clip_by_value(resized + PADDING_GREY, 0.0, 255.0)


def front(rows: Tensor, kept: Tensor) -> Tensor:
    """Move the kept rows to the front, in their order, and fill the others with -1."""
    order = tf.argsort(tf.cast(~kept, tf.int32), axis=1, stable=True)
    rows = tf.where(kept[..., None], rows, -1.0)
    return tf.gather(rows, order, axis=1, batch_dims=1)
