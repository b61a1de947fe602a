"""Box formats and the conversions between them."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy

from keras_hkd.errors import InvalidValueError
from keras_hkd.messages import did_you_mean
from keras_hkd.tensors import Tensor

FORMATS = ("xyxy", "xywh", "center_xywh", "rel_xyxy", "rel_yxyx")


def convert(
    boxes: Tensor,
    source: str,
    target: str,
    image_size: Sequence[int] | None = None,
    xp: ModuleType = numpy,
) -> Tensor:
    """Convert boxes from one format to another.

    `xyxy` left, top, right, bottom; `xywh` left, top, width, height; `center_xywh` centre x,
    centre y, width, height, all in pixels; `rel_xyxy` and `rel_yxyx` corners as a fraction of the
    image.

    Args:
        boxes: `(..., 4)` in the source format.
        source: format of `boxes`.
        target: format of the result.
        image_size: `(height, width)` in pixels; only the `rel_` formats need it.
        xp: `numpy` or `keras.ops`.

    Returns:
        `(..., 4)` in the target format.

    Raises:
        ValueError: if a format is unknown, or a `rel_` format is used without `image_size`.

    Example:

    >>> convert(numpy.array([[1.0, 2.0, 4.0, 8.0]]), "xyxy", "xywh").tolist()
    [[1.0, 2.0, 3.0, 6.0]]
    """
    for name in (source, target):
        _check(name, image_size)
    if source == target:
        return boxes
    return _from_xyxy(_to_xyxy(boxes, source, image_size, xp), target, image_size, xp)


def _check(name: str, image_size: Sequence[int] | None) -> None:
    if name not in FORMATS:
        hint = did_you_mean(name, FORMATS)
        raise InvalidValueError(f"Box format must be one of {FORMATS}.{hint} Received: {name!r}")
    if name.startswith("rel_") and image_size is None:
        raise InvalidValueError(
            f"Format '{name}' needs the image size: pass image_size=(height, width) in pixels. "
            "Received: image_size=None"
        )


def _to_xyxy(boxes: Tensor, source: str, image_size: Any, xp: ModuleType) -> Tensor:
    a, b, c, d = (boxes[..., i] for i in range(4))
    if source == "xywh":
        corners = (a, b, a + c, b + d)
    elif source == "center_xywh":
        corners = (a - c / 2, b - d / 2, a + c / 2, b + d / 2)
    elif source == "rel_xyxy":
        height, width = image_size
        corners = (a * width, b * height, c * width, d * height)
    elif source == "rel_yxyx":
        height, width = image_size
        corners = (b * width, a * height, d * width, c * height)
    else:
        return boxes
    return xp.stack(corners, axis=-1)


def _from_xyxy(boxes: Tensor, target: str, image_size: Any, xp: ModuleType) -> Tensor:
    left, top, right, bottom = (boxes[..., i] for i in range(4))
    if target == "xywh":
        values = (left, top, right - left, bottom - top)
    elif target == "center_xywh":
        values = ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)
    elif target == "rel_xyxy":
        height, width = image_size
        values = (left / width, top / height, right / width, bottom / height)
    elif target == "rel_yxyx":
        height, width = image_size
        values = (top / height, left / width, bottom / height, right / width)
    else:
        return boxes
    return xp.stack(values, axis=-1)
