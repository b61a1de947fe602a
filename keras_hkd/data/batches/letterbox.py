"""Letterboxing: fits an image of any size into the detector's size, and maps boxes both ways."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from keras_hkd import checks
from keras_hkd.errors import InvalidValueError

PADDING_GREY = 114


def fit_scale(source_sizes: Any, target_size: Any, xp: Any = np) -> Any:
    """Find the largest scale at which an image fits into the target, its aspect kept.

    scale = min(target_height / height, target_width / width)

    Args:
        source_sizes: `(..., 2)`, height and width in pixels.
        target_size: `(2,)`, height and width in pixels.
        xp: `numpy`, `keras.ops` or another array module with `min`.

    Returns:
        `(...)` target pixels per source pixel.

    Example:

    >>> fit_scale(np.array([[480, 640], [100, 50]]), np.array([240, 240])).tolist()
    [0.375, 2.4]
    """
    return xp.min(target_size / source_sizes, axis=-1)


@dataclasses.dataclass(frozen=True)
class Letterbox:
    """Where the pixels of an image lie after it was scaled to fit and padded right and below.

    target = source * scale + offset, the offsets being 0: the picture lies top left, the rest is
    grey 114. Coordinates are continuous: pixel i covers [i, i + 1).

    Args:
        source_size: height and width of the original image in pixels.
        target_size: height and width of the detector's input in pixels.
        scale: target pixels per source pixel.
        offset_y: rows of padding above the picture.
        offset_x: columns of padding left of the picture.

    Example:

    >>> letterbox = Letterbox.fit((480, 640), (256, 256))
    >>> letterbox.scale, letterbox.content_size
    (0.4, (192, 256))
    >>> letterbox.apply(np.array([[0.0, 0.0, 640.0, 480.0]])).tolist()
    [[0.0, 0.0, 256.0, 192.0]]
    """

    source_size: tuple[int, int]
    target_size: tuple[int, int]
    scale: float
    offset_y: float = 0.0
    offset_x: float = 0.0

    @classmethod
    def fit(cls, source_size: tuple[int, int], target_size: tuple[int, int]) -> Letterbox:
        """Compute the letterbox from the two sizes alone.

        Args:
            source_size: `(height, width)` of the original image in pixels.
            target_size: `(height, width)` of the detector's input in pixels.

        Raises:
            ValueError: a size is not two numbers of at least 1.
        """
        source = checks.image_size("source_size", source_size)
        target = checks.image_size("target_size", target_size)
        return cls(source, target, float(fit_scale(np.array(source), np.array(target))))

    @property
    def content_size(self) -> tuple[int, int]:
        """Height and width of the picture within the target, in whole pixels of at least 1."""
        height, width = self.source_size
        return content_size(height, self.scale), content_size(width, self.scale)

    def apply(self, boxes: np.ndarray) -> np.ndarray:
        """Move boxes from the original image to the letterboxed one.

        Args:
            boxes: `(..., 4)` xyxy in pixels of the original image.

        Returns:
            float64 `(..., 4)` xyxy in pixels of the letterboxed image.
        """
        return np.asarray(boxes, np.float64) * self.scale + self._offsets()

    def invert(self, boxes: np.ndarray) -> np.ndarray:
        """Move boxes from the letterboxed image back to the original one; nothing is clipped.

        Args:
            boxes: `(..., 4)` xyxy in pixels of the letterboxed image.

        Returns:
            float64 `(..., 4)` xyxy in pixels of the original image.
        """
        return (np.asarray(boxes, np.float64) - self._offsets()) / self.scale

    def resize(self, image: np.ndarray, antialias: bool = True) -> np.ndarray:
        """Draw the letterboxed image.

        Args:
            image: uint8 `(height, width, 3)` of `source_size`.
            antialias: whether it is smoothed when it shrinks, see `shrink`.

        Returns:
            uint8 `(target height, target width, 3)`.

        Raises:
            ValueError: the image is not of the source size.
        """
        image = np.asarray(image)
        if image.shape != (*self.source_size, 3) or image.dtype != np.uint8:
            raise InvalidValueError(
                f"Expected a uint8 image of shape {(*self.source_size, 3)}: fit the "
                "letterbox to the size of this image. Received: "
                f"{image.dtype} of shape {image.shape}"
            )
        canvas = np.full((*self.target_size, 3), PADDING_GREY, np.uint8)
        height, width = self.content_size
        canvas[:height, :width] = shrink(image, (height, width), self.scale, antialias)
        return canvas

    def _offsets(self) -> np.ndarray:
        return np.array([self.offset_x, self.offset_y] * 2)


def content_size(length: int, scale: float) -> int:
    """Count the target pixels whose centre lies on the scaled picture, at least 1.

    Args:
        length: height or width of the original image in pixels.
        scale: target pixels per source pixel.
    """
    return max(1, int(np.floor(length * scale + 0.5)))


def shrink(
    image: np.ndarray, size: tuple[int, int], scale: float, antialias: bool = True
) -> np.ndarray:
    """Resample an image by exactly `scale`.

    Args:
        image: uint8 `(height, width, 3)`.
        size: `(height, width)` of the result in pixels.
        scale: result pixels per source pixel; `size` is its product with the size, rounded.
        antialias: whether a triangle filter smooths what shrinks. Without, each pixel is read
            between its four neighbours, as OpenCV, MediaPipe and most detectors' own code do:
            sharper, and what a detector that was trained on such images expects.

    Returns:
        uint8 `(*size, 3)`.
    """
    from PIL import Image

    height, width = image.shape[:2]
    if size == (height, width):
        return image
    right, bottom = size[1] / scale, size[0] / scale
    # A last pixel that lies half outside the image sees the image's last rows and columns repeated.
    missing = max(0, int(np.ceil(bottom)) - height), max(0, int(np.ceil(right)) - width)
    if any(missing):
        image = np.pad(image, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
    picture, box = Image.fromarray(image), (0.0, 0.0, right, bottom)
    if not antialias:
        steps = (1.0 / scale, 0.0, 0.0, 0.0, 1.0 / scale, 0.0)
        image = np.pad(image, ((0, 1), (0, 1), (0, 0)), mode="edge")  # read between, never beyond
        picture = Image.fromarray(image)
        sharp = Image.Resampling.BILINEAR
        return np.asarray(picture.transform(size[::-1], Image.Transform.AFFINE, steps, sharp))
    return np.asarray(picture.resize(size[::-1], Image.Resampling.BILINEAR, box, reducing_gap=3.0))
