"""Which points lie inside boxes: foreground masks of maps and anchors."""

import numpy


def inside_any(points, boxes, xp=numpy):
    """Tells for each point whether it lies inside at least one box.

    Args:
        points: `(n, 2)` x, y.
        boxes: `(..., m, 4)` xyxy in the same unit; a padded box (all -1) holds no point.
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
    return xp.any(xp.all((points > lower) & (points < upper), axis=-1), axis=-1)
