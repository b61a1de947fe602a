"""Drawn people and things, one to an image: classes without a file on disk."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from keras_hkd import checks
from keras_hkd.data.annotations import BadDataError
from keras_hkd.data.classification import ClassificationDataset, classification_dataset
from keras_hkd.data.drawn.people import draw_person, random_look, random_pose
from keras_hkd.data.drawn.scenery import draw_place, draw_thing
from keras_hkd.data.drawn.source import parse_synthetic

CLASS_NAMES = (
    "person", "car", "tree", "sign", "cone", "dog", "bin", "umbrella", "lamp", "bollard",
    "bush", "poster", "hydrant", "fence", "rack",
)  # fmt: skip
"""What can be drawn, the first `num_classes` of which are the classes."""

_DEFAULTS = {"num_images": 200, "num_classes": 4, "seed": 0, "height": 64, "width": 64}
_OVERSAMPLING = 2
_DRAWN_PX = 128


def synthetic_classification(
    num_images: int, num_classes: int, image_size: tuple[int, int], seed: int
) -> ClassificationDataset:
    """Draw balanced classes; image i depends on the seed, the number of classes and i alone.

    Args:
        num_images: how many, at least 1.
        num_classes: 2 to 15; image i is of class `i % num_classes`.
        image_size: `(height, width)` in pixels.
        seed: whole number of at least 0.

    Raises:
        ValueError: an argument is out of range.

    Example:

    >>> synthetic_classification(5, 2, (32, 32), seed=1).classes.tolist()
    [0, 1, 0, 1, 0]
    """
    size = checks.image_size("image_size", image_size)
    checks.whole("num_images", num_images, low=1)
    checks.whole("num_classes", num_classes, low=2, high=len(CLASS_NAMES))
    checks.whole("seed", seed)
    names = CLASS_NAMES[:num_classes]
    classes = [index % num_classes for index in range(num_images)]
    images = [draw_class(names[c], (seed, index), size) for index, c in enumerate(classes)]
    return classification_dataset(images, classes, names, f"synthetic classes of seed {seed}")


def synthetic_classes_of(
    source: str, class_names: Sequence[str] | None = None
) -> ClassificationDataset:
    """Draw the dataset of a `synthetic:NAME?num_images=...&num_classes=...` source.

    Args:
        source: as the user wrote it.
        class_names: what the classes must be, or None.

    Raises:
        BadDataError: an unknown option, a value out of range, or other classes.
    """
    options, seed = parse_synthetic(source, _DEFAULTS)
    size = (options["height"], options["width"])
    try:
        dataset = synthetic_classification(
            options["num_images"], options["num_classes"], size, seed
        )
    except ValueError as error:
        raise BadDataError(source, "options", str(error)) from error
    if class_names is not None and tuple(class_names) != dataset.class_names:
        raise BadDataError(
            source,
            "num_classes",
            f"expected the classes {tuple(class_names)}. Received: {dataset.class_names}",
        )
    return dataclasses.replace(dataset, source=source)


def draw_class(name: str, seed: Any, image_size: tuple[int, int]) -> np.ndarray:
    """Draw one thing by name before a place, filling about half to all of the image's height.

    Args:
        name: one of `CLASS_NAMES`.
        seed: whole number of at least 0, or a sequence of them.
        image_size: `(height, width)` in pixels.

    Returns:
        uint8 `(height, width, 3)` RGB.
    """
    rng = np.random.default_rng(seed)
    height, width = (side * _OVERSAMPLING for side in image_size)
    picture = draw_place(rng, (height, width), rng.uniform(0.2, 0.6)).resize((width, height))
    if name == "person":
        sprite = draw_person(rng, _DRAWN_PX, random_look(rng), random_pose(rng))
    else:
        sprite = draw_thing(rng, _DRAWN_PX, kind=name)
    largest = np.divide((width, height), sprite.image.size).min()
    scale = largest * rng.uniform(0.55, 0.95)
    size = (
        max(2, round(sprite.image.width * scale)),
        max(2, round(sprite.image.height * scale)),
    )
    free = np.subtract((width, height), size) / 2
    left, top = (int(c) for c in free + free * rng.uniform(-0.6, 0.6, 2))
    cover = sprite.cover.resize(size, Image.Resampling.BILINEAR)
    picture.paste(sprite.image.resize(size), (left, top), cover)
    pixels = np.asarray(picture.reduce(_OVERSAMPLING), np.float32) * rng.uniform(0.6, 1.1)
    noise = rng.normal(0, rng.uniform(2, 10), pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)
