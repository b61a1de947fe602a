"""Decodes image files, in one place, so that everything uses the same pixels."""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from keras_hkd.errors import InvalidValueError

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"),
    *(".ppm", ".pgm", ".pnm", ".avif", ".heic", ".heif"),
)
OPTIONAL_SUFFIXES = (".avif", ".heic", ".heif")
"""Kinds of pictures that not every installation of Pillow opens."""
UNREAD_SUFFIXES = (
    *(".jp2", ".jxl", ".svg", ".psd", ".exr", ".hdr", ".tga", ".ico", ".raw", ".dng", ".cr2"),
    *(".cr3", ".nef", ".arw", ".orf", ".rw2", ".mp4", ".mov", ".avi", ".mkv", ".webm"),
)
"""Pictures and films by their suffix that are not opened: left out, counted and named."""

LIMIT_VARIABLE = "KERAS_HKD_MAX_MEGAPIXELS"
_ORIENTATION = 0x0112
_QUARTER_TURNS = (5, 6, 7, 8)
_PILLOW = r"PIL\."
_PILLOW_FILTER = ("ignore", None, Warning, re.compile(_PILLOW), 0)

if os.environ.get(LIMIT_VARIABLE):
    # Pillow warns from its limit on and refuses pictures of twice as many pixels.
    Image.MAX_IMAGE_PIXELS = int(float(os.environ[LIMIT_VARIABLE]) * 1e6 / 2)


class UnreadableImageError(InvalidValueError):
    """A picture cannot be decoded; the caller adds the record to the message."""

    def advising(self, advice: str) -> str:
        """Add advice to the message, unless it has its own.

        Args:
            advice: for a file that is damaged or missing.
        """
        return f"{self}: {advice}"


class UnsupportedImageError(UnreadableImageError):
    """A picture needs a decoder that is not installed, or is beyond a limit of size."""

    def advising(self, advice: str) -> str:
        return str(self)


def decode_image(path: str | os.PathLike, stated_size: tuple[int, int] | None = None) -> np.ndarray:
    """Decode a picture whole, upright as viewers and labelling tools show it.

    The picture is turned by its EXIF tag, unless it must be of a stated size and only unturned is.
    Grey, palette, CMYK and 16-bit pictures become RGB; transparency is dropped. Of several frames
    the first counts.

    Args:
        path: the image file.
        stated_size: `(height, width)` in pixels that the annotations state; None if they do not.

    Returns:
        uint8 array (height, width, 3), RGB.

    Raises:
        UnreadableImageError: the file is missing, not an image, truncated, damaged or too large.

    Example:

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("L", (4, 3), 7).save(f"{folder}/grey.png")
    ...     decode_image(f"{folder}/grey.png").shape
    (3, 4, 3)
    """
    with _opened(path, "the image cannot be decoded whole") as image:
        turned = is_turned((image.height, image.width), _orientation(image), stated_size)
        image.load()
        return np.asarray(_to_rgb(ImageOps.exif_transpose(image) if turned else image), np.uint8)


def require_whole(
    path: str | os.PathLike, stated_size: tuple[int, int] | None = None
) -> tuple[int, int]:
    """Decode a picture only to find faults in it; a JPEG at an eighth of its size.

    That reads every byte of it all the same, and fails where `decode_image` does.

    Args:
        path: the image file.
        stated_size: as of `decode_image`.

    Returns:
        `(height, width)` in pixels, as `decode_image` gives it.

    Raises:
        UnreadableImageError: as of `decode_image`.
    """
    with _opened(path, "the image cannot be decoded whole") as image:
        if image.format == "JPEG":
            size, orientation = (image.height, image.width), _orientation(image)
            image.draft("L", (1, 1))
            image.load()
            turned = is_turned(size, orientation, stated_size)
            return upright_size(size, orientation) if turned else size
    height, width = decode_image(path, stated_size).shape[:2]
    return height, width


def small_grey(path: str | os.PathLike, least_side: int = 64) -> np.ndarray:
    """Decode a picture in grey, upright by its EXIF tag; a JPEG, to be fast, small.

    Args:
        path: the image file.
        least_side: pixels that width and height have at least, where the picture has them.

    Returns:
        uint8 array (height, width).

    Raises:
        UnreadableImageError: as of `decode_image`.
    """
    with _opened(path, "the image cannot be decoded whole") as image:
        image.draft("L", (least_side, least_side))  # JPEG alone
        image.load()
        return np.asarray(_to_rgb(ImageOps.exif_transpose(image)).convert("L"), np.uint8)


def image_header(path: str | os.PathLike) -> tuple[tuple[int, int], int]:
    """Read a picture's size and the turn that its EXIF tag asks for, from the header alone.

    Args:
        path: the image file.

    Returns:
        `((height, width), orientation)`: pixels as stored, and EXIF's number, 1 for none.

    Raises:
        UnreadableImageError: the file is missing or its header cannot be read.
    """
    with _opened(path, "the image header cannot be read") as image:
        return (image.height, image.width), _orientation(image)


def is_plain(path: str | os.PathLike, stated_size: tuple[int, int] | None = None) -> bool:
    """Tell, from the header alone, whether any decoder gives the pixels that `decode_image` gives.

    So it is with a JPEG or PNG in grey or RGB that is not turned by its EXIF tag, whatever the
    file's suffix says. What else there is, only `decode_image` reads as the rest of the package.

    Args:
        path: the image file.
        stated_size: as of `decode_image`.

    Raises:
        UnreadableImageError: the file is missing or its header cannot be read.
    """
    with _opened(path, "the image header cannot be read") as image:
        size = image.height, image.width
        common = image.format in ("JPEG", "PNG") and image.mode in ("L", "RGB")
        return common and not is_turned(size, _orientation(image), stated_size)


def image_size(path: str | os.PathLike) -> tuple[int, int]:
    """Read (height, width) of the upright picture from its header alone.

    Args:
        path: the image file.

    Returns:
        (height, width) in pixels, as `decode_image` gives it.

    Raises:
        UnreadableImageError: the file is missing or its header cannot be read.
    """
    size, orientation = image_header(path)
    return upright_size(size, orientation)


def upright_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Give the (height, width) of a picture once it is turned by its EXIF tag.

    Example:

    >>> upright_size((480, 640), 6), upright_size((480, 640), 3)
    ((640, 480), (480, 640))
    """
    return size[::-1] if orientation in _QUARTER_TURNS else size


def is_turned(size: tuple[int, int], orientation: int, stated_size: tuple[int, int] | None) -> bool:
    """Tell whether a picture is turned by its EXIF tag.

    Args:
        size: (height, width) as stored.
        orientation: EXIF's number.
        stated_size: (height, width) that the annotations state, or None.

    Example:

    >>> is_turned((480, 640), 6, (640, 480)), is_turned((480, 640), 6, (480, 640))
    (True, False)
    """
    if orientation not in range(2, 9):
        return False
    as_stored = stated_size is not None and tuple(stated_size) == tuple(size)
    return not (as_stored and upright_size(size, orientation) != tuple(size))


@contextlib.contextmanager
def _opened(path: str | os.PathLike, failure: str) -> Iterator[Image.Image]:
    """Open a picture; whatever goes wrong inside becomes an `UnreadableImageError`."""
    path = Path(path)
    try:
        _register_heif(path)
        _mute_pillow()
        with Image.open(path) as image:
            yield image
    except UnreadableImageError:
        raise
    except FileNotFoundError:
        raise UnreadableImageError("the image file does not exist") from None
    except Image.DecompressionBombError as error:
        raise UnsupportedImageError(_too_large(str(error))) from None
    except Exception as error:  # Pillow's decoders raise a dozen types, SyntaxError among them
        if path.is_file() and path.stat().st_size == 0:
            raise UnreadableImageError("the image file is empty (0 bytes)") from None
        reason = f"{type(error).__name__}: {error}".replace(str(path), path.name)
        raise UnreadableImageError(f"{failure} ({reason})") from error


def _mute_pillow() -> None:
    """Show no warnings of Pillow, of odd EXIF blocks and very large pictures, from now on.

    Not for a while: pictures are opened in many threads, and what `warnings.catch_warnings` changes
    is the whole process's, so that threads lose warnings of others, or leave all muted.
    """
    if _PILLOW_FILTER not in warnings.filters:
        warnings.filterwarnings("ignore", module=_PILLOW)


def _too_large(message: str) -> str:
    pixels = [int(word) for word in message.replace("(", " ").split() if word.isdigit()]
    size = f"{pixels[0] / 1e6:.0f} megapixels, " if pixels else ""
    limit = (Image.MAX_IMAGE_PIXELS or 0) * 2 / 1e6
    return (
        f"the image is too large ({size}the limit is {limit:.0f}): set the environment variable "
        f"{LIMIT_VARIABLE} to a larger number of megapixels if the picture is meant to be so"
    )


def _register_heif(path: Path) -> None:
    if path.suffix.lower() not in (".heic", ".heif"):
        return
    try:
        import pillow_heif
    except ImportError:
        raise UnsupportedImageError(
            "HEIC pictures need the package pillow-heif: pip install keras_hkd[heic]"
        ) from None
    pillow_heif.register_heif_opener()


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # an unreadable tag turns nothing
        return 1


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
