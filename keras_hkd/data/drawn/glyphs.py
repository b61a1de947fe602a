"""Draws a simple dataset of any number of classes: glyphs in a row, from a seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from keras_hkd import checks
from keras_hkd.data.classification import ClassificationDataset, classification_dataset

_ROUND = [(math.sin(a), math.cos(a)) for a in np.linspace(0, 2 * math.pi, 24, endpoint=False)]
_SQUARE = [(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)]
_PLUS = [
    (-0.3, -1), (0.3, -1), (0.3, -0.3), (1, -0.3), (1, 0.3), (0.3, 0.3),
    (0.3, 1), (-0.3, 1), (-0.3, 0.3), (-1, 0.3), (-1, -0.3), (-0.3, -0.3),
]  # fmt: skip
_STAR = [
    (r * math.sin(a), -r * math.cos(a))
    for a, r in zip(np.arange(10) * math.pi / 5, [1.1, 0.45] * 5, strict=True)
]

# Outline and hole, in a square of side 2 around the origin.
SHAPES: dict[str, tuple[Any, float | None]] = {
    "disc": (_ROUND, None),
    "square": (_SQUARE, None),
    "triangle": ([(0, -1), (0.95, 0.8), (-0.95, 0.8)], None),
    "plus": (_PLUS, None),
    "ring": (_ROUND, 0.55),
    "frame": (_SQUARE, 0.55),
    "diamond": ([(0, -1.1), (0.7, 0), (0, 1.1), (-0.7, 0)], None),
    "star": (_STAR, None),
    "rod": ([(-0.25, -1), (0.25, -1), (0.25, 1), (-0.25, 1)], None),
    "beam": ([(-1, -0.25), (1, -0.25), (1, 0.25), (-1, 0.25)], None),
}
COLOURS = {
    "red": (220, 50, 50),
    "green": (50, 190, 70),
    "blue": (60, 90, 230),
    "yellow": (230, 215, 60),
    "magenta": (210, 60, 200),
    "cyan": (60, 205, 215),
    "white": (235, 235, 235),
    "orange": (240, 140, 40),
}
MOST_PLACES = 3
_OVERSAMPLING = 2


def glyph_alphabet(num_classes: int) -> tuple[int, int]:
    """Choose the number of places in a row and of glyphs in each that spell the classes.

    Class c is c written in the base of that number, one glyph to a digit. A glyph is a shape; only
    where ten shapes are not enough does its colour count too.

    Args:
        num_classes: 2 or more.

    Raises:
        ValueError: fewer than two classes, or more than can be spelled.

    Example:

    >>> [glyph_alphabet(count) for count in (2, 10, 12, 100, 1000)]
    [(1, 2), (1, 10), (2, 4), (2, 10), (2, 32)]
    """
    most = (len(SHAPES) * len(COLOURS)) ** MOST_PLACES
    checks.whole("num_classes", num_classes, low=2, high=most)
    places = 1
    while _base(num_classes, places) > len(SHAPES) * (1 if places == 1 else len(COLOURS)):
        places += 1
    return places, _base(num_classes, places)


def _base(num_classes: int, places: Any) -> Any:
    base = max(2, math.floor(num_classes ** (1 / places)))
    while base**places < num_classes:
        base += 1
    return base


def glyph_dataset(
    num_classes: int,
    images_per_class: int,
    *,
    seed: int,
    image_size: tuple[int, int] = (32, 32),
    class_names: Sequence[str] | None = None,
    hard_share: float = 0.08,
) -> ClassificationDataset:
    """Draw a balanced dataset of glyphs, easy enough to learn fast and with doubtful cases.

    Position, size, tilt, colour (where it is not the class), ground and noise vary; in a share of
    the images the glyphs fade towards the ground, down to nothing, so that a small network is right
    in 97 to 99 of 100 images and its doubts are spread over the classes that look alike. Image i is
    of class `i % num_classes` and depends on the seed, the number of classes and i alone.

    Args:
        num_classes: 2 or more.
        images_per_class: how many, at least 1.
        seed: whole number of at least 0.
        image_size: `(height, width)` in pixels.
        class_names: names of the classes; `class_0`, ... by default.
        hard_share: share of the images, in [0, 1], whose glyphs fade.

    Raises:
        ValueError: an argument is out of range.

    Example:

    >>> dataset = glyph_dataset(3, 2, seed=0)
    >>> dataset.classes.tolist(), dataset.load_image(0).shape
    ([0, 1, 2, 0, 1, 2], (32, 32, 3))
    """
    glyph_alphabet(num_classes)
    checks.whole("images_per_class", images_per_class, low=1)
    checks.whole("seed", seed)
    checks.in_range("hard_share", hard_share, high=1.0)
    names = class_names or [f"class_{index}" for index in range(num_classes)]
    classes = [index % num_classes for index in range(num_classes * images_per_class)]
    images = [
        draw_glyphs(c, num_classes, (seed, index), image_size, hard_share)
        for index, c in enumerate(classes)
    ]
    return classification_dataset(images, classes, names, f"glyphs of seed {seed}")


def draw_glyphs(
    class_index: int,
    num_classes: int,
    seed: Any,
    image_size: tuple[int, int] = (32, 32),
    hard_share: float = 0.08,
) -> np.ndarray:
    """Draw one image of a class.

    Args:
        class_index: in [0, num_classes).
        num_classes: 2 or more.
        seed: whole number of at least 0, or a sequence of them.
        image_size: `(height, width)` in pixels.
        hard_share: probability that the glyphs fade.

    Returns:
        uint8 `(height, width, 3)` RGB.
    """
    rng = np.random.default_rng(seed)
    places, base = glyph_alphabet(num_classes)
    height, width = (side * _OVERSAMPLING for side in image_size)
    ground = np.full(3, rng.uniform(10, 50)) + rng.normal(0, 5, 3)
    contrast = min(1.0, rng.uniform() / hard_share) if hard_share else 1.0
    picture = Image.new("RGB", (width, height), tuple(int(c) for c in np.clip(ground, 0, 255)))
    pen = ImageDraw.Draw(picture)
    for place in range(places):
        glyph = class_index // base**place % base
        shape = list(SHAPES)[glyph % len(SHAPES)]
        colour = glyph // len(SHAPES) if base > len(SHAPES) else rng.integers(len(COLOURS))
        full = np.array(list(COLOURS.values())[colour]) + rng.normal(0, 10, 3)
        ink = ground + contrast * (full - ground)
        _draw_shape(pen, rng, shape, ink, ground, place, places, (height, width))
    pixels = np.asarray(picture.reduce(_OVERSAMPLING), np.float32)
    noise = rng.normal(0, rng.uniform(5, 20), pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def _draw_shape(
    pen: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    shape: str,
    ink: Any,
    ground: Any,
    place: Any,
    places: Any,
    size: Any,
) -> None:
    cell = np.array([size[1] / places, size[0]])
    radius = cell.min() * rng.uniform(0.36, 0.44)
    free = np.maximum(cell / 2 - radius, 0)
    centre = cell * [place + 0.5, 0.5] + np.minimum(free, 0.05 * cell.min()) * rng.uniform(-1, 1, 2)
    tilt = rng.normal(0, math.radians(5))
    turn = np.array([[math.cos(tilt), -math.sin(tilt)], [math.sin(tilt), math.cos(tilt)]])
    outline, hole = SHAPES[shape]
    for points, colour in ((outline, ink), (hole and np.multiply(outline, hole), ground)):
        if points is not None:
            corners = np.asarray(points) @ turn.T * radius * rng.uniform(0.92, 1.05, 2) + centre
            fill = tuple(int(c) for c in np.clip(colour, 0, 255))
            pen.polygon([tuple(corner) for corner in corners.tolist()], fill=fill)
