"""Draws boxes onto pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw, ImageFont

from keras_hkd.errors import InvalidValueError

COLOURS = ("#ff4d4d", "#3da5ff", "#3ddc84", "#ffc53d", "#c77dff", "#ff8fab")


def draw_detections(
    image: np.ndarray,
    boxes: ArrayLike,
    labels: Sequence[str] = (),
    colour_indices: Sequence[int] | None = None,
) -> Image.Image:
    """Draw boxes and their labels onto a copy of an image.

    The width of the lines and the size of the text are proportional to the image.

    Args:
        image: uint8 `(height, width, 3)` RGB.
        boxes: `(n, 4)` xyxy pixels.
        labels: a text for each box, such as "person 0.87", or nothing.
        colour_indices: for each box an index into `COLOURS`, modulo their number; all 0 if
            None.

    Returns:
        A Pillow image of the same size.

    Raises:
        ValueError: the image has another shape or type, or the number of labels is not that of the
            boxes.

    Example:

    >>> picture = draw_detections(np.zeros((48, 64, 3), np.uint8), [[10, 5, 30, 40]])
    >>> picture.size
    (64, 48)
    """
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
        raise InvalidValueError(
            "`image` must be uint8 of shape (height, width, 3). Received: "
            f"{image.dtype} of shape {image.shape}"
        )
    boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    labels = list(labels) or [""] * len(boxes)
    if len(labels) != len(boxes):
        raise InvalidValueError(f"{len(boxes)} boxes need as many labels. Received: {len(labels)}")
    picture = Image.fromarray(image).copy()
    draw = ImageDraw.Draw(picture)
    longer_side = max(picture.size)
    line, font = max(1, round(longer_side / 320)), ImageFont.load_default(max(10, longer_side / 60))
    for number in reversed(range(len(boxes))):  # the best on top
        index = 0 if colour_indices is None else int(colour_indices[number])
        colour = COLOURS[index % len(COLOURS)]
        draw.rectangle(boxes[number].tolist(), outline=colour, width=line)
        if labels[number]:
            _write(draw, picture.size, boxes[number], labels[number], colour, font)
    return picture


def _write(
    draw: ImageDraw.ImageDraw,
    size: tuple[int, int],
    box: np.ndarray,
    text: str,
    colour: str,
    font: Any,
) -> None:
    """Write a label above the box, or inside it at the upper edge of the picture."""
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    width, height = right - left + 4, bottom - top + 4
    x = min(max(box[0], 0), max(size[0] - width, 0))
    y = box[1] - height if box[1] >= height else max(box[1], 0)
    draw.rectangle([x, y, x + width, y + height], fill=colour)
    draw.text((x + 2 - left, y + 2 - top), text, fill="black", font=font)
