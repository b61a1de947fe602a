"""Chooses people to cut out of one picture and paste into another, and their places."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from keras_hkd.data.batches.augmentation import Augmentation, View, log_uniform
from keras_hkd.data.batches.label_table import LabelTable
from keras_hkd.errors import InvalidValueError
from keras_hkd.tensors import Tensor

EDGE = 0.12
"""Width of the soft edge around the box, as a fraction of its shorter side."""

_MIN_DONOR_SIDES_PX = (8.0, 16.0)
_MAX_SHARED = 0.1
_MIN_PASTED_SIDE_PX = 4.0


@dataclasses.dataclass(frozen=True, eq=False)
class Donors:
    """The people of a set who may be pasted, in the order of their images.

    A person may be who measures at least 8 by 16 pixels in the letterboxed image, whose box lies
    within the picture with its soft edge, and of whose box and edge no other person and no ignore
    region holds more than a tenth.

    Args:
        images: int32 `(n,)`, image numbers.
        rows: int32 `(n,)`, rows of the label table of these images.
    """

    images: np.ndarray
    rows: np.ndarray

    @classmethod
    def none(cls) -> Donors:
        """Give the donors of an augmentation that pastes nobody."""
        return cls(np.zeros(0, np.int32), np.zeros(0, np.int32))

    @classmethod
    def find(cls, labels: LabelTable, content_sizes: np.ndarray) -> Donors:
        """Find who may be pasted.

        Args:
            labels: the labels of the set.
            content_sizes: float `(n, 2)`, height and width of the letterboxed pictures in pixels.

        Raises:
            ValueError: nobody may be.
        """
        found = [
            (image, row)
            for image, size in enumerate(content_sizes)
            for row in _standing_apart(labels, image, size)
        ]
        if not found:
            raise InvalidValueError(
                "copy_paste needs labelled people to paste: at least 8 by 16 pixels in the "
                "letterboxed image, apart from others and from the border of the image. The images "
                "show none. Leave copy_paste out, or take a larger image_size."
            )
        images, rows = np.array(found, np.int32).T
        return cls(images, rows)

    def among_first(self, num_images: np.ndarray) -> np.ndarray:
        """Count the donors who are in the first images of the set."""
        return np.searchsorted(self.images, num_images)


def _standing_apart(labels: LabelTable, image: int, content_size: np.ndarray) -> np.ndarray:
    """Return the rows of the people of an image who may be pasted."""
    people = labels.boxes[image][labels.classes[image] >= 0].astype(float)
    regions = labels.ignore_boxes[image]
    others = np.concatenate([people, regions[regions[:, 0] >= 0]])
    sides = people[:, 2:] - people[:, :2]
    shortest, longest = _MIN_DONOR_SIDES_PX
    large = (sides.min(axis=1, initial=np.inf) >= shortest) & (
        sides.max(axis=1, initial=0.0) >= longest
    )
    margins = EDGE * sides.min(axis=1, initial=np.inf)[:, None]
    wide = np.concatenate([people[:, :2] - margins, people[:, 2:] + margins], axis=1)
    inside = (wide[:, :2] >= 0).all(axis=1) & (wide[:, 2:] <= content_size[::-1]).all(axis=1)
    low = np.maximum(wide[:, None, :2], others[None, :, :2])
    high = np.minimum(wide[:, None, 2:], others[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=-1)
    shared[np.arange(len(people)), np.arange(len(people))] = 0.0
    areas = np.prod(wide[:, 2:] - wide[:, :2], axis=1)
    alone = (shared <= _MAX_SHARED * areas[:, None]).all(axis=1)
    return np.flatnonzero(large & inside & alone)


@dataclasses.dataclass(frozen=True, eq=False)
class Pasted:
    """One person for each picture of a batch, and where they go.

    Args:
        view: the view of the person's image in which they lie there.
        boxes: float32 `(b, 4)` xyxy in the frame.
        edges: float32 `(b,)`, width of the soft edge around the box in pixels.
        fit: bool `(b,)`, whether the floor holds box and edge, and the box is not too small.
    """

    view: View
    boxes: Tensor
    edges: Tensor
    fit: Tensor

    @property
    def rectangles(self) -> Tensor:
        """float32 `(b, 4)` xyxy: the boxes with their edges."""
        edges = self.edges[:, None]
        return tf.concat([self.boxes[:, :2] - edges, self.boxes[:, 2:] + edges], axis=1)


def paste(
    augmentation: Augmentation,
    draws: Tensor,
    boxes: Tensor,
    content_sizes: Tensor,
    floor: Tensor,
    frame_size: tuple[int, int],
) -> Pasted:
    """Find a place for one person in each picture.

    Args:
        augmentation: the ranges.
        draws: float32 `(b, 11)` uniform in [0, 1).
        boxes: float32 `(b, 4)` xyxy, the people in their letterboxed images.
        content_sizes: float32 `(b, 2)`, height and width of these images' pictures.
        floor: float32 `(b, 4)` xyxy, the part of the frame that they may stand in.
        frame_size: `(height, width)` in pixels.
    """
    zoom = log_uniform(draws[:, 0], augmentation.copy_paste_scale)[:, None]
    sides = (boxes[:, 2:] - boxes[:, :2])[:, ::-1] * zoom
    edges = EDGE * tf.reduce_min(sides, axis=1, keepdims=True)
    first, last = floor[:, 1::-1], floor[:, :1:-1]  # y then x
    room = (last - first) - (sides + 2 * edges)
    corners = first + edges + draws[:, 2:4] * tf.maximum(room, 0.0)
    flips = draws[:, 6] < (0.5 if augmentation.flip else 0.0)
    # Of a mirrored picture the right side of the box comes to lie on the left.
    offset_y = corners[:, 0] - zoom[:, 0] * boxes[:, 1]
    offset_x = tf.where(
        flips,
        frame_size[1] - corners[:, 1] - zoom[:, 0] * boxes[:, 2],
        corners[:, 1] - zoom[:, 0] * boxes[:, 0],
    )
    scales = tf.concat([zoom, zoom], axis=1)
    still = tf.eye(3, batch_shape=[draws.shape[0]])
    view = View(
        scales,
        tf.stack([offset_y, offset_x], axis=1),
        content_sizes * scales,
        flips,
        still,
        tf.zeros_like(offset_y),
    )
    placed = tf.concat([corners[:, ::-1], (corners + sides)[:, ::-1]], axis=1)
    smallest = max(augmentation.min_side_px, _MIN_PASTED_SIDE_PX)
    fit = tf.reduce_all(room >= 0, axis=1) & tf.reduce_all(sides >= smallest, axis=1)
    return Pasted(view, placed, edges[:, 0], fit)


def covered_shares(rectangles: Tensor, boxes: Tensor) -> Tensor:
    """Compute which share of each box a rectangle covers.

    Args:
        rectangles: float32 `(b, 4)` xyxy.
        boxes: float32 `(b, n, 4)` xyxy.

    Returns:
        float32 `(b, n)`, 0 for boxes without area.
    """
    rectangles = tf.expand_dims(rectangles, 1)
    low = tf.maximum(rectangles[..., :2], boxes[..., :2])
    high = tf.minimum(rectangles[..., 2:], boxes[..., 2:])
    shared = tf.reduce_prod(tf.maximum(high - low, 0.0), axis=-1)
    areas = tf.reduce_prod(boxes[..., 2:] - boxes[..., :2], axis=-1)
    return tf.math.divide_no_nan(shared, areas)
