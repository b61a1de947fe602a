"""Rotation of images by four quarter turns, and joint labels of class and rotation."""

from keras import ops

from keras_hkd.errors import InvalidValueError
from keras_hkd.tensors import Tensor

__all__ = ["joint_labels", "rotate_four"]

NUM_ROTATIONS = 4


def rotate_four(images: Tensor) -> Tensor:
    """Rotate images by 0, 90, 180 and 270 degrees anticlockwise.

    Args:
        images: `(batch, side, side, channels)`.

    Returns:
        `(4 * batch, side, side, channels)`: rotations of an image are consecutive, upright first,
        so that `[::4]` is the original batch.

    Raises:
        ValueError: if the images are not square, as a quarter turn would change their shape.

    Example:

    >>> tuple(rotate_four(ops.zeros((2, 8, 8, 3))).shape)
    (8, 8, 8, 3)
    """
    shape = tuple(images.shape)
    if len(shape) != 4 or shape[1] != shape[2]:
        raise InvalidValueError(
            "Quarter turns need square images (batch, side, side, channels): give a square "
            f"`image_size`. Received: images of shape {shape}"
        )
    quarter = ops.transpose(images, (0, 2, 1, 3))  # mirrored at the diagonal
    turned = [images, ops.flip(quarter, 1), ops.flip(images, (1, 2)), ops.flip(quarter, 2)]
    return ops.reshape(ops.stack(turned, axis=1), (-1, *shape[1:]))


def upright(rows: Tensor) -> Tensor:
    """Select the rows of upright images `(batch, ...)` from those of all `(4 * batch, ...)`."""
    return rows[::NUM_ROTATIONS]


def joint_labels(classes: Tensor) -> Tensor:
    """Compute labels of class and rotation of all rotated images, `4 * class + turn`.

    Args:
        classes: `(batch,)` whole numbers, -1 for unknown classes.

    Returns:
        `(4 * batch,)` int32 in the order of `rotate_four`; -1 for unknown classes.

    Example:

    >>> joint_labels(ops.array([1, -1])).numpy().tolist()
    [4, 5, 6, 7, -1, -1, -1, -1]
    """
    classes = ops.cast(classes, "int32")[:, None]
    joint = NUM_ROTATIONS * classes + ops.arange(NUM_ROTATIONS, dtype="int32")[None]
    return ops.reshape(ops.where(classes >= 0, joint, -1), (-1,))
