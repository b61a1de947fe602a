"""Random views of training images: one resampling and one colour matrix per image, in the graph."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from keras_hkd import checks
from keras_hkd.data.batches.letterbox import PADDING_GREY
from keras_hkd.errors import InvalidValueError
from keras_hkd.tensors import Tensor

# Luma and two chroma axes (NTSC YIQ): saturation scales the chroma plane, hue turns it.
_RGB_TO_YIQ = np.array(
    [[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]]
)
_YIQ_TO_RGB = np.linalg.inv(_RGB_TO_YIQ)
NUM_DRAWS = 11
"""Random numbers that a view is a function of."""


def _mixes(default: Any) -> Any:
    return dataclasses.field(default=default, metadata={"mixes": True})


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How much training images vary; every view is a function of the numbers drawn for it.

    A view scales the letterboxed picture (by one factor, and height against width by another),
    lays it anywhere within the frame, or the frame anywhere within it, shifts it, flips it, and
    changes its colours. What it leaves bare is grey 114. Boxes go along and are clipped to the
    frame; a person stays a label while at least `min_visible` of the box is in the frame and both
    sides measure at least `min_side_px` there.

    Beside views of single images there are pictures of several, off by default: mosaics, people
    pasted from other images, two pictures blended; and batches of several sizes. They too are
    functions of drawn numbers, and boxes and ignore regions of all the images go along.

    Args:
        flip: mirror every second image, left to right.
        scale: lowest and highest zoom relative to the letterboxed image, drawn log-uniformly.
        aspect: lowest and highest factor on width over height, drawn log-uniformly.
        translate: largest shift, as a fraction of the frame, on top of the free placement.
        brightness: largest amount added to or taken from all channels, as a fraction of 255.
        contrast: largest relative change of the distance from grey 114.
        saturation: largest relative change of the distance from grey.
        hue: largest turn of the colours, as a fraction of the colour circle.
        min_visible: smallest fraction of a box's area within the frame that keeps the label.
        min_side_px: smallest width and height in the frame that keep the label, in pixels.
        mosaic: share of the pictures that are put together from four images, which meet at a point
            in the middle part of the frame.
        mosaic_scale: lowest and highest zoom of an image in a mosaic, in the place of `scale`.
        mixup: share of the pictures, mosaics too, that a view of another image is blended into.
            People of both are labels.
        mixup_share: lowest and highest share of the other image in a blend.
        copy_paste: share of the pictures that people of other images are pasted into, by boxes
            with a soft edge, each within what is seen of one image. A person is taken who stands
            apart from others and from the border of the image.
        copy_paste_people: most people pasted into one picture. Where one finds no place, or would
            be larger than the picture or smaller than a label may be, there are fewer.
        copy_paste_scale: lowest and highest zoom of who is pasted, relative to the letterboxed
            image.
        copy_paste_cover: largest share of a labelled person's box that pasted people may cover
            together.
        mixed_epochs: epochs with mosaics and blends, the first ones; None for all.
        sizes: heights and widths in pixels, one of which is drawn for each batch; empty for the
            `image_size` of the batches.

    Raises:
        ValueError: a value is out of its range.

    Example:

    >>> Augmentation(scale=(0.8, 1.25), hue=0.0).scale
    (0.8, 1.25)
    """

    flip: bool = True
    scale: tuple[float, float] = (0.6, 1.6)
    aspect: tuple[float, float] = (0.87, 1.15)
    translate: float = 0.1
    brightness: float = 0.12
    contrast: float = 0.3
    saturation: float = 0.4
    hue: float = 0.02
    min_visible: float = 0.3
    min_side_px: float = 2.0
    mosaic: float = _mixes(0.0)
    mosaic_scale: tuple[float, float] = _mixes((0.5, 1.2))
    mixup: float = _mixes(0.0)
    mixup_share: tuple[float, float] = _mixes((0.35, 0.5))
    copy_paste: float = _mixes(0.0)
    copy_paste_people: int = _mixes(3)
    copy_paste_scale: tuple[float, float] = _mixes((0.5, 1.5))
    copy_paste_cover: float = _mixes(0.3)
    mixed_epochs: int | None = _mixes(None)
    sizes: tuple[tuple[int, int], ...] = _mixes(())

    def __post_init__(self) -> None:
        for name in ("scale", "aspect", "mosaic_scale", "mixup_share", "copy_paste_scale"):
            object.__setattr__(self, name, _checked_range(getattr(self, name), name))
        limits = {"translate": 1, "brightness": 1, "contrast": 1, "saturation": 1, "hue": 0.5}
        for name, highest in {**limits, "min_visible": 1, "min_side_px": np.inf}.items():
            value = getattr(self, name)
            if not 0 <= value <= highest:
                raise InvalidValueError(
                    f"`{name}` must be from 0 to {highest}. Received: {value!r}"
                )
        for name in ("mosaic", "mixup", "copy_paste", "copy_paste_cover"):
            checks.in_range(name, getattr(self, name), high=1.0)
        checks.in_range("mixup_share", self.mixup_share[1], high=1.0, open_high=True)
        checks.whole("copy_paste_people", self.copy_paste_people, low=1)
        if self.mixed_epochs is not None:
            checks.whole("mixed_epochs", self.mixed_epochs)
        sizes = checks.several("sizes", self.sizes, _checked_size)
        object.__setattr__(self, "sizes", sizes)

    @property
    def mixes(self) -> bool:
        """Whether a batch may hold more than one view of each of its images, at one size."""
        return any((self.mosaic, self.mixup, self.copy_paste, self.sizes))

    @property
    def mixing(self) -> dict[str, Any]:
        """What is on of mosaics, blends, pasted people and several sizes, by name."""
        names = ("mosaic", "mixup", "copy_paste", "sizes")
        return {name: getattr(self, name) for name in names if getattr(self, name)}

    @property
    def of_single_views(self) -> Augmentation:
        """What varies in the view of a single image: all of it, where nothing is mixed."""
        kept = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if not field.metadata.get("mixes")
        }
        return Augmentation(**kept)


@dataclasses.dataclass(frozen=True, eq=False)
class View:
    """One view per image of a batch of b: frame = letterboxed * scale + offset, then the flip.

    Args:
        scales: float32 `(b, 2)`, y then x.
        offsets: float32 `(b, 2)`, y then x, frame pixels.
        extents: float32 `(b, 2)`, height and width of the picture in frame pixels.
        flips: bool `(b,)`.
        colour_matrices: float32 `(b, 3, 3)`, applied to RGB rows less 114, keep grey grey.
        colour_shifts: float32 `(b,)`, added to all channels.
    """

    scales: tf.Tensor
    offsets: tf.Tensor
    extents: tf.Tensor
    flips: tf.Tensor
    colour_matrices: tf.Tensor
    colour_shifts: tf.Tensor


def draw_numbers(seed: int, epoch: Tensor, num_images: int, stream: int = 0) -> tf.Tensor:
    """Draw the random numbers of the views of one epoch; row i belongs to image i.

    Args:
        seed: the run's seed.
        epoch: int64 scalar.
        num_images: number of images in the set.
        stream: which of the run's streams of images it is; others draw other numbers.

    Returns:
        float32 `(num_images, 11)`, uniform in [0, 1).
    """
    key = tf.stack([tf.constant(seed, tf.int64), 2 * tf.cast(epoch, tf.int64) + 1])
    if stream:
        key = tf.random.experimental.stateless_fold_in(key, stream)
    return tf.random.stateless_uniform((num_images, NUM_DRAWS), key)


def plan_views(
    augmentation: Augmentation, draws: Tensor, content_sizes: Tensor, frame_size: tuple[int, int]
) -> View:
    """Turn drawn numbers into views.

    Args:
        augmentation: the ranges.
        draws: float32 `(b, 11)` uniform in [0, 1), of `draw_numbers`.
        content_sizes: float32 `(b, 2)`, height and width of the letterboxed pictures in pixels.
        frame_size: `(height, width)` in pixels.
    """
    zoom = log_uniform(draws[:, 0], augmentation.scale)
    aspect = tf.sqrt(log_uniform(draws[:, 1], augmentation.aspect))
    frame = tf.constant(frame_size, tf.float32)
    scales = tf.stack([zoom / aspect, zoom * aspect], axis=-1)
    extents = content_sizes * scales
    shifts = (2 * draws[:, 4:6] - 1) * augmentation.translate * frame
    if augmentation == NO_AUGMENTATION:
        offsets = tf.zeros_like(extents)
    else:
        offsets = draws[:, 2:4] * (frame - extents) + shifts
    matrices, colour_shifts = colours(augmentation, draws[:, 7:])
    flips = draws[:, 6] < (0.5 if augmentation.flip else 0.0)
    return View(scales, offsets, extents, flips, matrices, colour_shifts)


def view_boxes(
    boxes: Tensor, view: View, frame_size: tuple[int, int], rectangles: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Move boxes into the views.

    Args:
        boxes: float32 `(b, n, 4)` xyxy in pixels of the letterboxed images.
        view: the views of the batch.
        frame_size: `(height, width)` in pixels.
        rectangles: float32 `(b, 4)` xyxy, the part of the frame that each view is shown in; None
            for the whole frame.

    Returns:
        The clipped boxes `(b, n, 4)`, and for each box the fraction of its area that is shown
        `(b, n)`, 0 for a box without area.
    """
    height, width = (float(length) for length in frame_size)
    # Not scales[:, None, :1]: Grappler drops the new axis when it slices what was just stacked.
    scales, offsets = tf.expand_dims(view.scales, 1), tf.expand_dims(view.offsets, 1)
    y = boxes[..., 1::2] * scales[..., :1] + offsets[..., :1]
    x = boxes[..., 0::2] * scales[..., 1:] + offsets[..., 1:]
    x = tf.where(view.flips[:, None, None], width - x[..., ::-1], x)
    whole = (x[..., 1] - x[..., 0]) * (y[..., 1] - y[..., 0])
    if rectangles is None:
        x, y = tf.clip_by_value(x, 0.0, width), tf.clip_by_value(y, 0.0, height)
    else:
        left, top, right, bottom = tf.split(tf.expand_dims(rectangles, 1), 4, axis=2)
        x, y = tf.clip_by_value(x, left, right), tf.clip_by_value(y, top, bottom)
    inside = (x[..., 1] - x[..., 0]) * (y[..., 1] - y[..., 0])
    clipped = tf.stack([x[..., 0], y[..., 0], x[..., 1], y[..., 1]], axis=-1)
    return clipped, tf.math.divide_no_nan(inside, whole)


def sample_windows(view: View, canvas_scales: Tensor, frame_size: tuple[int, int]) -> Tensor:
    """Find the part of the canvas that each view shows.

    Pixel i of the frame has its centre at i + 0.5; the canvas is read at the matching centre.

    Args:
        view: the views of the batch.
        canvas_scales: float32 `(b,)`, canvas pixels per pixel of the letterboxed image.
        frame_size: `(height, width)` in pixels.

    Returns:
        float32 `(b, 4)`: y1, x1, y2, x2, where on the canvas, in pixels counted from the upper left
        corner, the centres of the frame's first and last pixels lie; x1 > x2 in flipped views.
    """
    steps = canvas_scales[:, None] / view.scales
    first = (0.5 - view.offsets) * steps
    last = first + (tf.constant(frame_size, tf.float32) - 1) * steps
    left = tf.where(view.flips, last[:, 1], first[:, 1])
    right = tf.where(view.flips, first[:, 1], last[:, 1])
    return tf.stack([first[:, 0], left, last[:, 0], right], axis=-1)


def change_colours(pixels: Tensor, view: View) -> Tensor:
    """Change the colours of the pictures and leaves the grey 114 around them as it is.

    pixels = (pixels - 114) . matrix + 114 + shift within the picture

    Args:
        pixels: float32 `(b, height, width, 3)` RGB in [0, 255], 114 outside the pictures.
        view: the views of the batch.

    Returns:
        float32 `(b, height, width, 3)` in [0, 255].
    """
    num_images, height, width, _ = pixels.shape
    rows = _covered(height, view.offsets[:, 0], view.extents[:, 0])
    columns = _covered(width, view.offsets[:, 1], view.extents[:, 1])
    columns = tf.where(view.flips[:, None], columns[:, ::-1], columns)
    # Matrices keep grey grey, so that 114 less its image is one number per picture; with the shift
    # in a product of rank 2 all of it is three passes over the pixels (broadcasting is slower).
    grey = PADDING_GREY * (1 - tf.reduce_sum(view.colour_matrices[:, :, 0], axis=1))
    left = tf.stack([rows * view.colour_shifts[:, None], tf.ones_like(rows) * grey[:, None]], 2)
    columns = tf.repeat(columns, 3, axis=1)
    added = tf.matmul(left, tf.stack([columns, tf.ones_like(columns)], 1))
    turned = tf.matmul(tf.reshape(pixels, (num_images, -1, 3)), view.colour_matrices)
    pixels = tf.reshape(turned, (num_images, height, -1)) + added
    return tf.reshape(tf.clip_by_value(pixels, 0.0, 255.0), (num_images, height, width, 3))


def change_covered_colours(pixels: Tensor, covered: Tensor, view: View) -> Tensor:
    """Change the colours of pictures that are put together; see `change_colours`.

    Args:
        pixels: float32 `(b, height, width, 3)` RGB less 114, 0 outside the pictures.
        covered: float32 `(b, height, width, 1)`, how much of a pixel a picture covers, in [0, 1].
        view: the views of the batch, for their colours.

    Returns:
        float32 `(b, height, width, 3)` in [0, 255].
    """
    shape = pixels.shape
    turned = tf.matmul(tf.reshape(pixels, (shape[0], -1, 3)), view.colour_matrices)
    shifts = view.colour_shifts[:, None, None, None] * covered
    pixels = tf.reshape(turned, shape) + (PADDING_GREY + shifts)
    return tf.clip_by_value(pixels, 0.0, 255.0)


def _covered(length: int, offset: Tensor, extent: Tensor) -> Tensor:
    centres = tf.range(length, dtype=tf.float32)[None] + 0.5
    covered = (centres >= offset[:, None]) & (centres < (offset + extent)[:, None])
    return tf.cast(covered, tf.float32)


def colours(augmentation: Augmentation, draws: Tensor) -> tuple[Tensor, Tensor]:
    """Compute colour matrices for RGB rows: contrast * YIQ^-1 . (saturation, hue turn) . YIQ.

    Args:
        augmentation: the ranges.
        draws: float32 `(b, 4)` uniform in [0, 1).

    Returns:
        Matrices `(b, 3, 3)`, and what is added to all channels `(b,)`.
    """
    signed = 2 * draws - 1
    contrast = 1 + augmentation.contrast * signed[:, 0]
    saturation = 1 + augmentation.saturation * signed[:, 1]
    angle = 2 * np.pi * augmentation.hue * signed[:, 2]
    cosine, sine = saturation * tf.cos(angle), saturation * tf.sin(angle)
    one, zero = tf.ones_like(cosine), tf.zeros_like(cosine)
    chroma = tf.stack([one, zero, zero, zero, cosine, -sine, zero, sine, cosine], axis=-1)
    chroma = tf.reshape(chroma, (-1, 3, 3)) * contrast[:, None, None]
    to_rgb, to_yiq = (tf.constant(m, tf.float32) for m in (_YIQ_TO_RGB, _RGB_TO_YIQ))
    matrices = tf.matmul(tf.matmul(to_rgb[None], chroma), to_yiq[None])
    shifts = 255.0 * augmentation.brightness * signed[:, 3]
    return tf.linalg.matrix_transpose(matrices), shifts


def log_uniform(draws: Tensor, bounds: tuple[float, float]) -> Tensor:
    """Turn numbers uniform in [0, 1) into numbers between the bounds, their logarithm uniform."""
    low, high = np.log(bounds)
    return tf.exp(tf.cast(low, tf.float32) + draws * tf.cast(high - low, tf.float32))


def _checked_size(name: str, value: Any) -> tuple[int, int]:
    side = (value, value) if isinstance(value, int) else value
    return checks.image_size(name, side)


def _checked_range(bounds: Any, name: str) -> tuple[float, float]:
    try:
        low, high = (float(bound) for bound in bounds)
    except (TypeError, ValueError):
        low = high = float("nan")
    if not 0 < low <= high < np.inf:
        raise InvalidValueError(
            f"`{name}` must be (lowest, highest), both above 0 and in order. Received: {bounds!r}"
        )
    return low, high


NO_AUGMENTATION = Augmentation(
    flip=False,
    scale=(1, 1),
    aspect=(1, 1),
    translate=0,
    brightness=0,
    contrast=0,
    saturation=0,
    hue=0,
)
"""The letterboxed image itself: nothing is drawn at random, the picture lies top left."""
