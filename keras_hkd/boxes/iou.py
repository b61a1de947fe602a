"""Overlap of boxes."""

from types import ModuleType

import numpy

from keras_hkd.tensors import Tensor


def _pairwise_intersection(boxes_a: Tensor, boxes_b: Tensor, xp: ModuleType) -> Tensor:
    a, b = boxes_a[..., :, None, :], boxes_b[..., None, :, :]
    top_left = xp.maximum(a[..., :2], b[..., :2])
    bottom_right = xp.minimum(a[..., 2:], b[..., 2:])
    sides = xp.maximum(bottom_right - top_left, 0.0)
    return sides[..., 0] * sides[..., 1]


def area(boxes: Tensor, xp: ModuleType = numpy) -> Tensor:
    """Compute the area of each box; inverted boxes and padding have area 0.

    Args:
        boxes: `(..., n, 4)` xyxy.
        xp: `numpy` or `keras.ops`.

    Returns:
        `(..., n)`.

    Example:

    >>> area(numpy.array([[0.0, 0.0, 2.0, 3.0], [-1.0, -1.0, -1.0, -1.0]])).tolist()
    [6.0, 0.0]
    """
    sides = xp.maximum(boxes[..., 2:] - boxes[..., :2], 0.0)
    return sides[..., 0] * sides[..., 1]


def pairwise_iou(boxes_a: Tensor, boxes_b: Tensor, xp: ModuleType = numpy) -> Tensor:
    """Compute the intersection over union of every box of one set with every box of another.

    `iou(a, b) = |a n b| / (|a| + |b| - |a n b|)`, and 0 where both areas are 0.

    Args:
        boxes_a: `(..., n, 4)` xyxy, any unit.
        boxes_b: `(..., m, 4)` xyxy, the same unit.
        xp: `numpy` or `keras.ops`.

    Returns:
        `(..., n, m)` in [0, 1].

    Example:

    >>> a = numpy.array([[0.0, 0.0, 2.0, 2.0]])
    >>> b = numpy.array([[1.0, 0.0, 3.0, 2.0], [5.0, 5.0, 6.0, 6.0]])
    >>> pairwise_iou(a, b).round(4).tolist()
    [[0.3333, 0.0]]
    """
    intersection = _pairwise_intersection(boxes_a, boxes_b, xp)
    union = area(boxes_a, xp)[..., :, None] + area(boxes_b, xp)[..., None, :] - intersection
    return intersection / xp.where(union > 0, union, xp.ones_like(union))


def pairwise_distance_iou(boxes_a: Tensor, boxes_b: Tensor, xp: ModuleType = numpy) -> Tensor:
    """Compute the distance IoU (DIoU) of every box of one set with every box of another.

    `diou(a, b) = iou(a, b) - (distance of centres / diagonal of the smallest box around both)^2`,
    which also ranks boxes that do not touch.

    Args:
        boxes_a: `(..., n, 4)` xyxy, any unit.
        boxes_b: `(..., m, 4)` xyxy, the same unit.
        xp: `numpy` or `keras.ops`.

    Returns:
        `(..., n, m)` in [-1, 1].

    Example:

    >>> a = numpy.array([[0.0, 0.0, 4.0, 4.0]])
    >>> pairwise_distance_iou(a, numpy.array([[0.0, 0.0, 2.0, 4.0]])).tolist()  # 1 / 2 - 1 / 32
    [[0.46875]]

    Reference:
        https://arxiv.org/abs/1911.08287.
    """
    a, b = boxes_a[..., :, None, :], boxes_b[..., None, :, :]
    hull = xp.maximum(a[..., 2:], b[..., 2:]) - xp.minimum(a[..., :2], b[..., :2])
    shift = (a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2.0
    diagonal = xp.sum(xp.square(hull), axis=-1)
    distance = xp.sum(xp.square(shift), axis=-1)
    apart = distance / xp.where(diagonal > 0, diagonal, xp.ones_like(diagonal))
    return pairwise_iou(boxes_a, boxes_b, xp) - apart


def pairwise_intersection_over_area(
    boxes_a: Tensor, boxes_b: Tensor, xp: ModuleType = numpy
) -> Tensor:
    """Compute the share of each box of the first set that each box of the second covers.

    `|a n b| / |a|`, by which detections are compared with ignore regions and crowds.

    Args:
        boxes_a: `(..., n, 4)` xyxy.
        boxes_b: `(..., m, 4)` xyxy.
        xp: `numpy` or `keras.ops`.

    Returns:
        `(..., n, m)` in [0, 1]; 0 where the first box has no area.

    Example:

    >>> a = numpy.array([[0.0, 0.0, 2.0, 2.0]])
    >>> pairwise_intersection_over_area(a, numpy.array([[1.0, 0.0, 9.0, 9.0]])).tolist()
    [[0.5]]
    """
    intersection = _pairwise_intersection(boxes_a, boxes_b, xp)
    areas = area(boxes_a, xp)[..., :, None]
    return intersection / xp.where(areas > 0, areas, xp.ones_like(areas))


def generalized_iou(boxes_a: Tensor, boxes_b: Tensor, xp: ModuleType = numpy) -> Tensor:
    """Compute the generalised IoU (GIoU) of boxes pair by pair.

    `GIoU = IoU - (hull - union) / hull`, hull being the smallest box around both.

    Args:
        boxes_a: `(..., 4)` xyxy.
        boxes_b: `(..., 4)` xyxy, in the same unit.
        xp: `numpy`, `keras.ops` or another array module.

    Returns:
        `(...)` in [-1, 1]; a box without area has IoU 0.

    Example:

    >>> import numpy as np
    >>> a = np.array([0.0, 0.0, 2.0, 2.0])
    >>> round(float(generalized_iou(a, a + np.array([1.0, 0.0, 1.0, 0.0]))), 4)
    0.3333

    Reference:
        Rezatofighi et al., https://arxiv.org/abs/1902.09630.
    """
    # Each coordinate by itself: the gradient of a slice writes the whole tensor.
    left_a, top_a, right_a, bottom_a = xp.split(boxes_a, 4, axis=-1)
    left_b, top_b, right_b, bottom_b = xp.split(boxes_b, 4, axis=-1)

    def measured(left: Tensor, top: Tensor, right: Tensor, bottom: Tensor) -> Tensor:
        return xp.maximum(right - left, 0.0) * xp.maximum(bottom - top, 0.0)

    overlap = measured(
        xp.maximum(left_a, left_b),
        xp.maximum(top_a, top_b),
        xp.minimum(right_a, right_b),
        xp.minimum(bottom_a, bottom_b),
    )
    hull = measured(
        xp.minimum(left_a, left_b),
        xp.minimum(top_a, top_b),
        xp.maximum(right_a, right_b),
        xp.maximum(bottom_a, bottom_b),
    )
    area_a = measured(left_a, top_a, right_a, bottom_a)
    area_b = measured(left_b, top_b, right_b, bottom_b)
    union = area_a + area_b - overlap
    iou = xp.where(union > 0, overlap / xp.where(union > 0, union, 1.0), 0.0)
    apart = xp.where(hull > 0, (hull - union) / xp.where(hull > 0, hull, 1.0), 0.0)
    return (iou - apart)[..., 0]
