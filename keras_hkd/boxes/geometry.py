"""Boxes clipped to an image, and points inside boxes."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy

from keras_hkd.tensors import Tensor


def clip(boxes: Tensor, image_size: Sequence[Any], xp: ModuleType = numpy) -> Tensor:
    """Clip boxes to the image.

    Args:
        boxes: `(..., 4)` xyxy pixels.
        image_size: `(height, width)` in pixels, numbers or arrays `(..., 1)`.
        xp: `numpy` or `keras.ops`.

    Returns:
        `(..., 4)`; a box wholly outside the image gets area 0.

    Example:

    >>> clip(numpy.array([[-5.0, 2.0, 20.0, 8.0]]), (10, 10)).tolist()
    [[0.0, 2.0, 10.0, 8.0]]
    """
    height, width = image_size
    x = xp.clip(boxes[..., 0::2], 0, width)
    y = xp.clip(boxes[..., 1::2], 0, height)
    return xp.stack([x[..., 0], y[..., 0], x[..., 1], y[..., 1]], axis=-1)


def inside_any(points: Tensor, boxes: Tensor, xp: ModuleType = numpy) -> Tensor:
    """Check for each point whether it lies inside at least one box.

    Args:
        points: `(n, 2)` x, y.
        boxes: `(..., m, 4)` xyxy in the same unit; the upper and left edges belong to the box, and
            padding (all -1) contains no point.
        xp: `numpy` or `keras.ops`.

    Returns:
        `(..., n)` bool.

    Example:

    >>> points = numpy.array([[1.0, 1.0], [9.0, 9.0]])
    >>> inside_any(points, numpy.array([[0.0, 0.0, 2.0, 2.0], [-1.0, -1.0, -1.0, -1.0]])).tolist()
    [True, False]
    """
    lower, upper = boxes[..., None, :, :2], boxes[..., None, :, 2:]
    points = points[:, None, :]
    return xp.any(xp.all((points >= lower) & (points < upper), axis=-1), axis=-1)
