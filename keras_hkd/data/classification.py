"""Images with one class each: the dataset that classifiers learn from."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Sequence

import numpy as np

from keras_hkd.data.annotations import ImageAnnotation
from keras_hkd.data.dataset import Dataset
from keras_hkd.errors import InvalidValueError


@dataclasses.dataclass(frozen=True, eq=False)
class ClassificationDataset(Dataset):
    """Images of which each is of one class: a `Dataset` whose one box per image is the whole image.

    So everything that decodes, caches, augments and hashes annotated images serves it too.

    Args:
        images: uint8 `(height, width, 3)` RGB each, where they are in memory; None for files.

    Example:

    >>> pixels = np.zeros((8, 8, 3), np.uint8)
    >>> dataset = classification_dataset([pixels, pixels], [1, 0], ("cat", "dog"))
    >>> dataset.classes.tolist(), dataset.class_counts
    ([1, 0], {'cat': 1, 'dog': 1})
    """

    images: tuple[np.ndarray, ...] | None = None

    @property
    def classes(self) -> np.ndarray:
        """int32 `(n,)`, index into `class_names` of each image; -1 where it is not known."""
        return np.array([annotation.classes[0] for annotation in self], np.int32)

    @property
    def class_counts(self) -> dict[str, int]:
        """How many images there are of each class."""
        classes = self.classes
        counts = np.bincount(classes[classes >= 0], minlength=len(self.class_names))
        return dict(zip(self.class_names, counts.tolist(), strict=True))

    def load_image(self, index: int) -> np.ndarray:
        """Give one image: uint8 `(height, width, 3)` RGB.

        Args:
            index: position of the image in the dataset.
        """
        return super().load_image(index) if self.images is None else self.images[index]

    @property
    def content_hash(self) -> str:
        """SHA-256 over class names, file names, classes, and the pixels that are in memory."""
        if self.images is None:
            return super().content_hash
        digest = hashlib.sha256(super().content_hash.encode())
        for image in self.images:
            digest.update(np.ascontiguousarray(image).tobytes())
        return digest.hexdigest()

    def select(self, indices: Sequence[int]) -> ClassificationDataset:
        """Take the images at `indices`, in that order.

        Args:
            indices: positions in this dataset.
        """
        images = None if self.images is None else tuple(self.images[i] for i in indices)
        chosen = tuple(self.annotations[i] for i in indices)
        return dataclasses.replace(self, annotations=chosen, images=images)


def whole_image(
    image_path: str | os.PathLike, image_id: int | str, width: int, height: int, class_index: int
) -> ImageAnnotation:
    """Make the annotation of an image that has one class as a whole.

    Args:
        image_path: absolute path; "" where the image is in memory.
        image_id: the image's id.
        width: in pixels.
        height: in pixels.
        class_index: index into the dataset's `class_names`, -1 where it is not known.

    Example:

    >>> whole_image("", 1, 4, 3, 0).boxes.tolist()
    [[0.0, 0.0, 4.0, 3.0]]
    """
    box, index = np.array([[0, 0, width, height]]), np.array([class_index])
    return ImageAnnotation(str(image_path), image_id, width, height, box, index)


def classification_dataset(
    images: Sequence[np.ndarray],
    classes: Sequence[int],
    class_names: Sequence[str],
    source: str = "memory",
) -> ClassificationDataset:
    """Make a dataset of images that are in memory.

    Args:
        images: uint8 `(height, width, 3)` RGB each, of any sizes.
        classes: index into `class_names` of each, -1 where it is not known.
        class_names: two or more different names.
        source: what messages call it.

    Raises:
        ValueError: images, classes and names do not fit each other.
    """
    images, names = tuple(np.asarray(image) for image in images), check_class_names(class_names)
    classes = np.asarray(classes, np.int64)
    if classes.shape != (len(images),) or not len(images):
        raise InvalidValueError(
            f"Expected one class for each of one or more images. Received: {len(images)} images, "
            f"classes of shape {classes.shape}."
        )
    if classes.min() < -1 or classes.max() >= len(names):
        raise InvalidValueError(
            f"Classes must index {names}, or be -1. Received: {sorted(set(classes.tolist()))}"
        )
    for image in images:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
            raise InvalidValueError(
                "Images must be uint8 of shape (height, width, 3). Received: "
                f"{image.dtype} of shape {image.shape}"
            )
    annotations = tuple(
        whole_image("", number, image.shape[1], image.shape[0], int(class_index))
        for number, (image, class_index) in enumerate(zip(images, classes, strict=True), start=1)
    )
    return ClassificationDataset(annotations, names, source, "memory", (), images)


def check_class_names(class_names: Sequence[str]) -> tuple[str, ...]:
    """Check that there are two or more different class names; returns them as a tuple."""
    names = tuple(str(name) for name in class_names)
    if len(names) < 2 or len(set(names)) != len(names):
        raise InvalidValueError(
            f"Expected two or more different class names. Received: {class_names!r}"
        )
    return names
