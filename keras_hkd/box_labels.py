"""Pads and checks labels of boxes for the losses, and leaves out boxes that are not valid."""

from __future__ import annotations

from typing import Any

import numpy
from keras import ops

from keras_hkd.errors import InvalidValueError

PADDING = -1.0
FARTHEST = 1e6
"""Coordinates beyond this, in pixels, are no coordinates: the areas of such boxes overflow."""


def padded(value: Any) -> Any:
    """Pad a ragged tensor, or a list of arrays of several lengths, with -1; leave others.

    Args:
        value: `(batch, n)` or `(batch, n, 4)`, n of each image its own.

    Example:

    >>> padded([numpy.zeros((1, 4)), numpy.zeros((2, 4))]).shape
    (2, 2, 4)
    """
    if hasattr(value, "row_splits") and hasattr(value, "to_tensor"):  # tf.RaggedTensor
        nested = len(value.shape) == 3
        return value.to_tensor(PADDING, shape=(None, None, 4) if nested else None)
    objects = isinstance(value, numpy.ndarray) and value.dtype.kind == "O"
    several = isinstance(value, (list, tuple)) or objects
    if not several or not all(hasattr(row, "shape") or isinstance(row, list) for row in value):
        return value
    rows = [numpy.asarray(row, "float32") for row in value]
    longest = max((len(row) for row in rows), default=0)
    tails = {row.shape[1:] for row in rows if len(row)} or {row.shape[1:] for row in rows}
    if len(tails) != 1:
        return value
    result = numpy.full((len(rows), longest, *tails.pop()), PADDING, "float32")
    for row, place in zip(rows, result, strict=True):
        place[: len(row)] = row.reshape(-1, *place.shape[1:]) if len(row) else place[:0]
    return result


def padded_labels(labels: Any) -> Any:
    """Pad each ragged entry of a dict of labels; leave anything else as it is."""
    if not isinstance(labels, dict):
        return labels
    return {name: padded(value) for name, value in labels.items()}


def checked_shapes(labels: Any) -> dict:
    """Pad the labels of boxes and check their shapes.

    Args:
        labels: dict of `boxes (batch, n, 4)` and `classes (batch, n)`; other entries pass.

    Raises:
        ValueError: others, with the shapes that are wanted and those that came.
    """
    wanted = (
        "Labels must be a dict with 'boxes' (batch, n, 4) in xyxy pixels and 'classes' "
        "(batch, n), both padded with -1, or ragged. Received: "
    )
    if not isinstance(labels, dict) or not {"boxes", "classes"} <= set(labels):
        received = sorted(labels) if isinstance(labels, dict) else type(labels).__name__
        raise InvalidValueError(f"{wanted}{received}")
    labels = padded_labels(labels)
    boxes, classes = (_shape(labels[name]) for name in ("boxes", "classes"))
    if classes is not None and len(classes) == 3 and classes[2] == 1:
        labels["classes"], classes = ops.squeeze(labels["classes"], axis=2), classes[:2]
    fits = (
        boxes is not None
        and classes is not None
        and len(boxes) == 3
        and boxes[2] in (4, None)
        and len(classes) == 2
        and all(None in pair or pair[0] == pair[1] for pair in zip(boxes, classes, strict=False))
    )
    if not fits:
        raise InvalidValueError(f"{wanted}boxes of shape {boxes}, classes of shape {classes}")
    return labels


def without_false_boxes(labels: dict, num_classes: int) -> dict:
    """Replace every box that is not valid by -1.

    Left out are boxes that have no area or end before they begin, that are not finite, and whose
    class is none of the detector's. Shapes stay.

    Args:
        labels: what `checked_shapes` gave.
        num_classes: number of classes of the detector.

    Example:

    >>> labels = {"boxes": [[[2.0, 2.0, 9.0, 9.0], [5.0, 5.0, 5.0, 5.0]]], "classes": [[0, 0]]}
    >>> ops.convert_to_numpy(without_false_boxes(labels, 1)["classes"]).tolist()
    [[0.0, -1.0]]
    """
    boxes = ops.cast(labels["boxes"], "float32")
    classes = ops.cast(labels["classes"], "float32")
    states = states_of(boxes, classes, num_classes)
    kept = ops.logical_and(states["labelled"], states["sound"])
    return {
        **labels,
        "boxes": ops.where(kept[..., None], boxes, PADDING),
        "classes": ops.where(kept, classes, PADDING),
    }


def states_of(boxes: Any, classes: Any, num_classes: int) -> dict:
    """Classify each box as valid, padding or faulty, as `(batch, n)` bool.

    Args:
        boxes: `(batch, n, 4)` float32 xyxy pixels.
        classes: `(batch, n)` float32, below 0 for padding.
        num_classes: number of classes of the detector.

    Returns:
        dict of `labelled` (no padding), `of_no_class`, `not_finite`, `reversed` (ends before it
        begins), `empty` (no area), and `sound`, which is none of these. All four coordinates 0 are
        padding too.
    """
    padding = (classes < 0) | ops.all(boxes == 0.0, axis=-1)
    of_class = (classes >= 0) & (classes < num_classes) & (classes == ops.floor(classes))
    finite = ops.all(ops.abs(boxes) < FARTHEST, axis=-1)  # False for NaN too
    sides = boxes[..., 2:] - boxes[..., :2]
    backwards = finite & ops.any(sides < 0, axis=-1)
    area = finite & ops.all(sides > 0, axis=-1)
    return {
        "labelled": ops.logical_not(padding),
        "of_no_class": ops.logical_not(of_class),
        "not_finite": ops.logical_not(finite),
        "reversed": backwards,
        "empty": finite & ops.logical_not(area) & ops.logical_not(backwards),
        "sound": of_class & area,
    }


def _shape(value: Any) -> tuple | None:
    if isinstance(value, (list, tuple)):
        try:
            value = numpy.asarray(value, "float32")
        except (TypeError, ValueError):
            return None
    shape = getattr(value, "shape", None)
    if shape is None or getattr(shape, "rank", 0) is None:
        return None
    return tuple(shape)
