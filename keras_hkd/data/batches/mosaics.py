"""Four pictures that meet at a point: the tiles of the frame, and the view of each tile."""

from __future__ import annotations

import tensorflow as tf

from keras_hkd.data.batches.augmentation import Augmentation, View, log_uniform
from keras_hkd.tensors import Tensor

_CENTRES = (0.3, 0.7)
"""Where the four may meet, as fractions of the frame."""


def tiles(centres: Tensor, frame_size: tuple[int, int]) -> list[Tensor]:
    """Cut the frame into four at whole pixels.

    Args:
        centres: float32 `(b, 2)` uniform in [0, 1), y then x.
        frame_size: `(height, width)` in pixels.

    Returns:
        float32 `(b, 4)` xyxy for each of: upper left, upper right, lower left, lower right.
    """
    low, high = _CENTRES
    y, x = tf.unstack(
        tf.round((low + (high - low) * centres) * tf.constant(frame_size, tf.float32)), axis=1
    )
    zero = tf.zeros_like(y)
    bottom, right = zero + float(frame_size[0]), zero + float(frame_size[1])
    return [
        tf.stack([zero, zero, x, y], axis=1),
        tf.stack([x, zero, right, y], axis=1),
        tf.stack([zero, y, x, bottom], axis=1),
        tf.stack([x, y, right, bottom], axis=1),
    ]


def tile_view(
    augmentation: Augmentation,
    draws: Tensor,
    content_sizes: Tensor,
    tile: Tensor,
    number: int,
    like: View,
    frame_width: int,
) -> View:
    """Lay a picture into its tile.

    Where it is larger than the tile a part of it is shown, drawn at random; where it is smaller it
    reaches the point at which the four meet.

    Args:
        augmentation: the ranges.
        draws: float32 `(b, 11)` uniform in [0, 1).
        content_sizes: float32 `(b, 2)`, height and width of the letterboxed pictures in pixels.
        tile: float32 `(b, 4)` xyxy of `tiles`.
        number: which of the four it is.
        like: views of the batch, whose colours are taken.
        frame_width: of the frame in pixels.
    """
    zoom = log_uniform(draws[:, 0], augmentation.mosaic_scale)
    aspect = tf.sqrt(log_uniform(draws[:, 1], augmentation.aspect))
    scales = tf.stack([zoom / aspect, zoom * aspect], axis=-1)
    extents = content_sizes * scales
    first, last = tile[:, 1::-1], tile[:, :1:-1]  # y then x
    room = (last - first) - extents
    to_centre = tf.constant([1.0 - number // 2, 1.0 - number % 2])
    corners = first + room * tf.where(room > 0, to_centre[None], draws[:, 2:4])
    flips = draws[:, 6] < (0.5 if augmentation.flip else 0.0)
    x = tf.where(flips, frame_width - extents[:, 1] - corners[:, 1], corners[:, 1])
    offsets = tf.stack([corners[:, 0], x], axis=1)
    return View(scales, offsets, extents, flips, like.colour_matrices, like.colour_shifts)
