"""Checks of the further arguments of losses: boxes, labels, scores and positives."""

from typing import Any

import numpy as np
from keras import ops

from keras_hkd.errors import InvalidValueError
from keras_hkd.replicas import global_ratio
from keras_hkd.tensors import Shape, Tensor


def as_boxes(boxes: Tensor, batch: int | None, name: str = "boxes") -> tuple[Tensor, Tensor]:
    """Check the boxes of a batch and convert them to float32 without gradient.

    Args:
        boxes: (batch, n, 4) xyxy pixels, padded with -1.
        batch: number of images, `None` if unknown.
        name: name of the argument, for the message.

    Returns:
        The boxes, and (batch, n) bool: True for boxes, False for padding and boxes without area.

    Raises:
        ValueError: if the shape differs.

    Example:

    >>> _, present = as_boxes([[[1, 1, 5, 9], [-1, -1, -1, -1]]], 1)
    >>> bool(present[0, 0]), bool(present[0, 1])
    (True, False)
    """
    boxes = ops.stop_gradient(ops.cast(ops.convert_to_tensor(boxes), "float32"))
    shape = tuple(boxes.shape)
    if len(shape) != 3 or shape[2] != 4 or (None not in (shape[0], batch) and shape[0] != batch):
        raise InvalidValueError(
            f"`{name}` must be (batch, n, 4) in xyxy pixels, padded with -1, for a batch of "
            f"{batch}. Received: {name} of shape {shape}."
        )
    return boxes, (boxes[..., 2] > boxes[..., 0]) & (boxes[..., 3] > boxes[..., 1])


def as_labels(labels: Tensor, num_classes: int, leading: Shape) -> tuple[Tensor, Tensor]:
    """Check the class indices of rows of logits and tell which rows have one.

    Args:
        labels: integers with the shape of the rows; -1 for a row without a class.
        num_classes: number of classes.
        leading: shape of the rows, `None` for unknown sizes.

    Returns:
        int32 labels and a bool tensor, both of that shape.

    Raises:
        ValueError: if the shape differs, or a list or array holds an index of no class.

    Example:

    >>> _, known = as_labels([1, -1], 3, (2,))
    >>> bool(known[0]), bool(known[1])
    (True, False)
    """
    if isinstance(labels, (list, tuple, np.ndarray)) and np.max(labels, initial=-1) >= num_classes:
        raise InvalidValueError(
            f"`labels` must be class indices below {num_classes}, or -1 for rows that have none. "
            f"Received: {np.max(labels)}."
        )
    labels = ops.cast(ops.convert_to_tensor(labels), "int32")
    check_shape("labels", labels, leading)
    return labels, (labels >= 0) & (labels < num_classes)


def as_constant(name: str, values: Any, expected: Shape) -> Tensor:
    """Check the shape of an argument and convert it to float32 without gradient.

    Args:
        name: name of the argument, for the message.
        values: numbers or booleans.
        expected: expected shape, `None` for unknown sizes.

    Returns:
        A float32 tensor.

    Raises:
        ValueError: if the shape differs.

    Example:

    >>> float(as_constant("teacher_scores", [0.5], (1,))[0])
    0.5
    """
    values = ops.stop_gradient(ops.cast(ops.convert_to_tensor(values), "float32"))
    check_shape(name, values, expected)
    return values


def check_shape(name: str, tensor: Tensor, expected: Shape) -> None:
    """Refuse a tensor of another shape, which would broadcast.

    Args:
        name: name of the argument, for the message.
        tensor: anything with a `shape`.
        expected: expected shape, `None` for unknown sizes.

    Raises:
        ValueError: if the number of axes or a size differs.

    Example:

    >>> check_shape("labels", ops.zeros((2, 3)), (2, None))
    """
    shape = tuple(tensor.shape)
    if len(shape) == len(expected) and all(
        a == b or None in (a, b) for a, b in zip(shape, expected, strict=True)
    ):
        return
    raise InvalidValueError(
        f"`{name}` must have the shape {tuple(expected)}. Received: shape {shape}."
    )


def over_positives(total: Tensor, positives: Tensor, leading: Shape) -> Tensor:
    """Divide a sum over anchors by the number of positive anchors, at least 1.

    Args:
        total: scalar, the sum of this replica.
        positives: booleans of the shape `leading`.
        leading: shape of the anchors, `None` for unknown sizes.

    Returns:
        This replica's share of the global ratio, a float32 scalar.

    Raises:
        ValueError: if the shape differs.

    Example:

    >>> float(over_positives(6.0, ops.array([True, True, False]), (3,)))
    3.0
    """
    count = ops.sum(as_constant("positives", positives, leading))
    return global_ratio(total, count, minimum=1.0)
