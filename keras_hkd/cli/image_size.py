"""The option `--image-size`: one number of pixels, or HEIGHTxWIDTH."""

from typing import Annotated

import typer

from keras_hkd.errors import InvalidValueError

MIN_SIDE_PX = 32

ImageSize = Annotated[
    str | None,
    typer.Option(
        "--image-size",
        metavar="PIXELS or HEIGHTxWIDTH",
        help="The size that images are letterboxed to. By default the detector's own.",
        show_default=False,
    ),
]


def parse_sizes(text: str | None) -> tuple[tuple[int, int], ...] | None:
    """Read several image sizes, with commas between them.

    Args:
        text: such as "256,320" or "192x256,384x512", or None.

    Returns:
        `(height, width)` in pixels of each, or None.

    Raises:
        ValueError: one is none, see `parse_image_size`.

    Example:

    >>> parse_sizes("256,192x320")
    ((256, 256), (192, 320))
    """
    if text is None:
        return None
    return tuple(_size(one.strip(), "--sizes") for one in text.split(","))


def parse_image_size(text: str | None) -> tuple[int, int] | None:
    """Read an image size.

    Args:
        text: such as "320" or "384x640" (height, width), or None.

    Returns:
        `(height, width)` in pixels, or None.

    Raises:
        ValueError: it is neither, or a side is below 32 pixels.

    Example:

    >>> parse_image_size("320"), parse_image_size("384x640")
    ((320, 320), (384, 640))
    """
    return None if text is None else _size(text, "--image-size")


def _size(text: str, option: str) -> tuple[int, int]:
    sides = text.lower().split("x")
    if len(sides) not in (1, 2) or not all(s.isascii() and s.isdigit() for s in sides):
        sides = []
    height, width = (int(sides[0]), int(sides[-1])) if sides else (0, 0)
    if min(height, width) < MIN_SIDE_PX:
        raise InvalidValueError(
            f"`{option}` must be one number such as 320, or HEIGHTxWIDTH such as 384x640, at "
            f"least {MIN_SIDE_PX} pixels. Received: {text!r}"
        )
    return height, width
