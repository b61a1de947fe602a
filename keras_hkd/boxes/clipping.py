"""Boxes at the image's edge."""

import numpy


def clip(boxes, image_size, xp=numpy):
    """Cuts boxes at the edge of the image.

    Args:
        boxes: `(..., 4)` xyxy pixels.
        image_size: `(height, width)` in pixels.
        xp: `numpy` or `keras.ops`.

    Returns:
        `(..., 4)`; a box wholly outside gets area 0.

    Example:
    >>> clip(numpy.array([[-5.0, 2.0, 20.0, 8.0]]), (10, 10)).tolist()
    [[0.0, 2.0, 10.0, 8.0]]
    """
    height, width = image_size
    x = xp.clip(boxes[..., 0::2], 0, width)
    y = xp.clip(boxes[..., 1::2], 0, height)
    return xp.stack([x[..., 0], y[..., 0], x[..., 1], y[..., 1]], axis=-1)
