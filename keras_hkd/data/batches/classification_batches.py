"""Makes batches of images with one class each, by the rules of the detectors' pipeline."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import tensorflow as tf

from keras_hkd.data.batches import pipeline
from keras_hkd.data.batches.augmentation import Augmentation
from keras_hkd.data.classification import ClassificationDataset
from keras_hkd.errors import InvalidTypeError, InvalidValueError
from keras_hkd.tensors import Tensor

# No box is ever cut away here: a view of an image keeps the image's class.
CLASSIFICATION_AUGMENTATION = Augmentation(
    scale=(0.8, 1.3), translate=0.05, min_visible=0.0, min_side_px=0.0
)
"""How crops of objects vary: less than scenes do, so that the object stays in view."""


def classification_training_batches(
    dataset: ClassificationDataset,
    *,
    image_size: tuple[int, int],
    batch_size: int,
    seed: int,
    first_epoch: int = 0,
    augmentation: Augmentation | None = CLASSIFICATION_AUGMENTATION,
    cache: str | bool = "auto",
    cache_folder: str | os.PathLike | None = None,
    share: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """Yield shuffled, augmented batches without end, the same for the same seed.

    Order and views are functions of (seed, epoch, image) alone; see
    `keras_hkd.data.training_batches`, whose views, letterboxing and memory these are.

    Args:
        dataset: the images.
        image_size: `(height, width)` of the batches in pixels.
        batch_size: images per batch; an epoch is `steps_per_epoch(dataset, batch_size)` of them.
        seed: whole number of at least 0.
        first_epoch: epoch to begin with.
        augmentation: how images vary; None for letterboxing alone.
        cache: where decoded images are kept: "auto", "memory", "disk" or "none".
        cache_folder: folder of the disk mode.
        share: of `keras_hkd.data.training_batches`: which rows of every batch are read.

    Returns:
        A `tf.data.Dataset` of `(images, labels)`: images float32 `(batch_size, height, width, 3)`
        RGB in [0, 255]; labels a dict of `classes` int32 `(batch_size,)`, -1 where not known.

    Raises:
        TypeError: the dataset has boxes and no classes of whole images.
        ValueError: see `training_batches`; or the augmentation mixes images.
        BadDataError: an image cannot be read.
    """
    if augmentation is not None:
        if augmentation.mixes:
            raise InvalidValueError(
                "A picture put together from several images has no one class, and batches of "
                "several sizes are for detectors: leave mosaic, mixup, copy_paste and sizes out. "
                f"Received: {augmentation.mixing}"
            )
        augmentation = _keeping_every_class(augmentation)
    batches = pipeline.training_batches(
        _checked(dataset),
        image_size=image_size,
        batch_size=batch_size,
        seed=seed,
        first_epoch=first_epoch,
        max_boxes=1,
        augmentation=augmentation,
        cache=cache,
        cache_folder=cache_folder,
        share=share,
    )
    return batches.map(_with_classes)


def classification_evaluation_batches(
    dataset: ClassificationDataset,
    *,
    image_size: tuple[int, int],
    batch_size: int,
    cache: bool = False,
) -> tf.data.Dataset:
    """Yield every image once, in order, letterboxed, with its class.

    Args:
        dataset: the images.
        image_size: `(height, width)` of the batches in pixels.
        batch_size: images per batch; the last batch holds what is left.
        cache: decode the images once into memory; images that are no JPEG or PNG files are in any
            case, if they fit.

    Returns:
        A finite `tf.data.Dataset` of `(images, labels)`, as those for training are.

    Raises:
        TypeError: the dataset has boxes and no classes of whole images.
        ValueError: an argument is out of range.
        BadDataError: an image cannot be read.
    """
    batches = pipeline.evaluation_batches(
        _checked(dataset), image_size=image_size, batch_size=batch_size, max_boxes=1, cache=cache
    )
    return batches.map(_with_classes)


def _with_classes(images: Tensor, labels: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    return images, {"classes": tf.cast(labels["classes"][:, 0], tf.int32)}


def _keeping_every_class(augmentation: Augmentation) -> Augmentation:
    return dataclasses.replace(augmentation, min_visible=0.0, min_side_px=0.0)


def _checked(dataset: Any) -> ClassificationDataset:
    if not isinstance(dataset, ClassificationDataset):
        raise InvalidTypeError(
            "Expected a ClassificationDataset, of keras_hkd.data.load_classification(path) or "
            f"classification_dataset(images, classes, class_names). Received: "
            f"{type(dataset).__name__}"
        )
    return dataset
