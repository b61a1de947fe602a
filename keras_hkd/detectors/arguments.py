"""Checks the arguments of a `Detector`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_hkd import checks
from keras_hkd.errors import InvalidValueError

DEFAULT_IMAGE_SIZE = (320, 320)


def checked_image_size(image_size: Any) -> tuple[int, int]:
    """`(height, width)` in whole pixels, multiples of 32; a ValueError for others."""
    because = "the stride of the coarsest map of the backbone; others leave maps that do not fit"
    return checks.image_size("image_size", image_size, low=32, multiple_of=32, because=because)


def size_for_network(network: Any, image_size: Any) -> tuple[int, int]:
    """`(height, width)` that a network is to work at: its own where it takes no other.

    Args:
        network: a functional model of one input.
        image_size: what was asked for; None for the network's own, else 320 x 320.

    Raises:
        ValueError: the network takes another size only, or it is no size.
    """
    fixed = tuple(network.inputs[0].shape[1:3])
    if image_size is None:
        return DEFAULT_IMAGE_SIZE if None in fixed else fixed
    size = checked_image_size(image_size)
    for side, only in zip(size, fixed, strict=True):
        if only not in (None, side):
            raise InvalidValueError(
                f"The model was built for images of {fixed} pixels (height, width) and takes no "
                "others; build it with input_shape=(None, None, 3) for any. "
                f"Received: image_size={tuple(image_size)}"
            )
    return size


def checked_indices(
    class_indices: Any, class_names: Sequence[str], num_library_classes: int
) -> tuple[int, ...]:
    """Which of the library model's classes are reported; a ValueError for others than it has."""
    if class_indices is None:
        class_indices = range(len(class_names))
    class_indices = tuple(int(index) for index in class_indices)
    if len(class_indices) != len(class_names):
        raise InvalidValueError(
            "`class_names` and `class_indices` must name the same classes. Received: "
            f"class_names={class_names}, class_indices={class_indices}"
        )
    if any(not 0 <= index < num_library_classes for index in class_indices):
        raise InvalidValueError(
            f"The model has {num_library_classes} classes, so `class_indices` must lie in "
            f"[0, {num_library_classes - 1}]. Received: class_indices={class_indices}"
        )
    return class_indices


def per_channel(name: str, value: Any) -> float | tuple[float, ...] | None:
    """Check a number, or one for each of the three colours; None stays None."""
    if value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        pass
    try:
        values = tuple(float(one) for one in value)
    except (TypeError, ValueError):
        values = ()
    if len(values) != 3:
        raise InvalidValueError(
            f"`{name}` must be a number, or three for red, green and blue. Received: {name}={value}"
        )
    return values
