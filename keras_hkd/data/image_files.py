"""Image files to arrays: the one place that opens a picture, so that all see the same pixels."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


class UnreadableImageError(ValueError):
    """A picture that cannot be decoded whole; says why, the caller adds which record."""


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I"):  # 16-bit grey: Pillow would cut it off at 255
        return Image.fromarray((np.asarray(image) // 256).clip(0, 255).astype(np.uint8)).convert(
            "RGB"
        )
    if image.mode in ("P", "PA", "LA", "RGBa", "La"):
        image = image.convert("RGBA")
    return image.convert("RGB")


def decode_image(path: str | os.PathLike) -> np.ndarray:
    """Decode a picture whole, as the annotators of COCO saw it: no rotation by its EXIF tag.

    Grey, palette, CMYK and 16-bit pictures become RGB; transparency is dropped.

    Args:
        path: the image file.

    Returns:
        uint8 array (height, width, 3), RGB.

    Raises:
        UnreadableImageError: the file is missing, not an image, truncated or damaged.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("L", (4, 3), 7).save(f"{folder}/grey.png")
        ...     decode_image(f"{folder}/grey.png").shape
        (3, 4, 3)
    """
    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # odd EXIF blocks, very large pictures: not our business
            with Image.open(path) as image:
                image.load()
                return np.asarray(_to_rgb(image), dtype=np.uint8)
    except FileNotFoundError:
        raise UnreadableImageError("the image file does not exist") from None
    except Exception as error:  # Pillow's decoders raise a dozen types, SyntaxError among them
        if path.is_file() and path.stat().st_size == 0:
            raise UnreadableImageError("the image file is empty (0 bytes)") from None
        reason = f"{type(error).__name__}: {error}".replace(str(path), path.name)
        raise UnreadableImageError(f"the image cannot be decoded whole ({reason})") from error


def image_size(path: str | os.PathLike) -> tuple[int, int]:
    """Read (height, width) from a picture's header alone, for formats whose records hold no size.

    Args:
        path: the image file.

    Returns:
        (height, width) in pixels, not turned by the EXIF tag.

    Raises:
        UnreadableImageError: the file is missing or its header cannot be read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                return image.height, image.width
    except FileNotFoundError:
        raise UnreadableImageError("the image file does not exist") from None
    except Exception as error:
        raise UnreadableImageError(
            f"the image header cannot be read ({type(error).__name__})"
        ) from error
