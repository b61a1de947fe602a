"""Annotated images in a fixed order, with what is known of where they come from."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from keras_hkd.data.annotations import BadDataError, BadRecord, ImageAnnotation, with_unique_ids
from keras_hkd.data.findings import Findings, merged_findings
from keras_hkd.data.image_files import UnreadableImageError, decode_image
from keras_hkd.data.summary import summary
from keras_hkd.errors import InvalidValueError


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Annotated images, in a fixed order.

    Args:
        annotations: one `ImageAnnotation` per image.
        class_names: names of the classes that `ImageAnnotation.classes` indexes.
        source: where the data came from, as the user wrote it.
        format: name of the format that was read, such as "coco".
        skipped: the bad records that were left out (`on_bad_data="skip"`).
        category_ids: for each class the ids that results have for it, those of the file; the first
            is written. By default a class's position + 1.
        findings: how the data were read.

    Example:

    >>> image = ImageAnnotation("", 1, 64, 48, boxes=[[1, 2, 11, 32]], classes=[0])
    >>> dataset = Dataset((image,), ("person",), source="by hand", format="none")
    >>> len(dataset), dataset.num_boxes, dataset.has_visible_boxes
    (1, 1, False)
    """

    annotations: tuple[ImageAnnotation, ...]
    class_names: tuple[str, ...]
    source: str
    format: str
    skipped: tuple[BadRecord, ...] = ()
    category_ids: tuple[tuple[int | str, ...], ...] = dataclasses.field(default=(), kw_only=True)
    findings: Findings = dataclasses.field(default=Findings(), kw_only=True)

    def __post_init__(self) -> None:
        ids = self.category_ids or [(number,) for number in range(1, len(self.class_names) + 1)]
        object.__setattr__(self, "category_ids", tuple(map(tuple, ids)))
        for name in ("annotations", "class_names", "skipped"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    def __len__(self) -> int:
        return len(self.annotations)

    def __iter__(self) -> Iterator[ImageAnnotation]:
        return iter(self.annotations)

    def __getitem__(self, index: int) -> ImageAnnotation:
        return self.annotations[index]

    @property
    def num_boxes(self) -> int:
        """Number of boxes in all images, ignore regions included."""
        return sum(annotation.num_boxes for annotation in self.annotations)

    @property
    def classes_by_id(self) -> dict[int | str, int]:
        """Id that results have for a class -> index of the class."""
        return {i: number for number, ids in enumerate(self.category_ids) for i in ids}

    @property
    def has_visible_boxes(self) -> bool:
        """Whether any box has a visible part that differs from the box."""
        return any(not np.array_equal(a.boxes, a.visible_boxes) for a in self.annotations)

    @property
    def summary(self) -> str:
        """One line: images, boxes by class, ignored, left out, skipped with reasons, notes."""
        text = summary(
            self.annotations, self.class_names, self.findings, [r.problem for r in self.skipped]
        )
        return f"{self.source} ({self.format}): {text}"

    @property
    def content_hash(self) -> str:
        """SHA-256 over class names, file names, sizes, boxes and the image files' byte counts.

        It does not depend on the folder, so that a moved dataset keeps its hash.
        """
        digest = hashlib.sha256(repr(self.class_names).encode())
        for annotation in self.annotations:
            path = annotation.image_path
            num_bytes = os.path.getsize(path) if path and os.path.exists(path) else 0
            size = (annotation.height, annotation.width)
            digest.update(repr((annotation.file_name, size, num_bytes)).encode())
            for column in ("boxes", "classes", "ignore", "visible_boxes"):
                array = getattr(annotation, column)
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def load_image(self, index: int) -> np.ndarray:
        """Decode one image: uint8 (height, width, 3) RGB, upright as its size says.

        Args:
            index: position of the image in the dataset.

        Raises:
            BadDataError: the image has no file, or the file cannot be decoded whole.
        """
        annotation = self.annotations[index]
        if not annotation.image_path:
            raise BadDataError(
                self.source,
                f"image {annotation.image_id}",
                "the image file is not known: keep the images in a folder `images` beside the "
                "annotations, or name their folder (--images DIR, images_folder in Python)",
            )
        try:
            return decode_image(annotation.image_path, (annotation.height, annotation.width))
        except UnreadableImageError as error:
            record = f"image {annotation.image_id}"
            raise BadDataError(annotation.image_path, record, str(error)) from error

    def select(self, indices: Sequence[int]) -> Dataset:
        """Take the images at `indices`, in that order.

        Args:
            indices: positions in this dataset.
        """
        chosen = tuple(self.annotations[index] for index in indices)
        if type(self) is Dataset:
            return dataclasses.replace(self, annotations=chosen)
        origins = tuple((self, int(index)) for index in indices)
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(Dataset)}
        return _ComposedDataset(**{**fields, "annotations": chosen}, origins=origins)

    def subset(self, num_images: int) -> Dataset:
        """Take the first `num_images` images; all of them where there are fewer.

        Args:
            num_images: how many, at least 1.

        Raises:
            ValueError: `num_images` is below 1.
        """
        if num_images < 1:
            raise InvalidValueError(f"`num_images` must be at least 1. Received: {num_images}")
        return self.select(range(min(num_images, len(self))))

    @staticmethod
    def merge(datasets: Sequence[Dataset], shared_files: bool = False) -> Dataset:
        """Join datasets of the same classes, one after the other.

        Image ids stay where they are unique and all of one type; else the images are numbered
        from 1 in the merged order.

        Args:
            datasets: at least one dataset.
            shared_files: whether one image file may be in two of them.

        Raises:
            ValueError: no dataset, or the class names differ.
            BadDataError: the same image file is in two of them, and may not.

        Example:

        >>> image = ImageAnnotation("", 1, 64, 48, boxes=[[1, 2, 11, 32]], classes=[0])
        >>> day = Dataset((image,), ("person",), "day", "none")
        >>> night = Dataset((image,), ("person",), "night", "none")
        >>> [image.image_id for image in Dataset.merge([day, night])]
        [1, 2]
        """
        datasets = list(datasets)
        if not datasets:
            raise InvalidValueError("`datasets` must hold at least one dataset. Received: none")
        if len(datasets) == 1:
            return datasets[0]
        names = {dataset.class_names for dataset in datasets}
        if len(names) > 1:
            raise InvalidValueError(
                f"Merged datasets must have the same class names. Received: {sorted(names)}"
            )
        if not shared_files:
            _refuse_shared_files(datasets)
        annotations = with_unique_ids([a for dataset in datasets for a in dataset])
        formats = dict.fromkeys(dataset.format for dataset in datasets)
        ids = {dataset.category_ids for dataset in datasets}
        fields: dict[str, Any] = {
            "annotations": annotations,
            "class_names": datasets[0].class_names,
            "source": " + ".join(dataset.source for dataset in datasets),
            "format": "+".join(formats),
            "skipped": tuple(record for dataset in datasets for record in dataset.skipped),
            "category_ids": ids.pop() if len(ids) == 1 else (),
            "findings": merged_findings([dataset.findings for dataset in datasets]),
        }
        if all(type(dataset) is Dataset for dataset in datasets):
            return Dataset(**fields)
        origins = tuple((dataset, i) for dataset in datasets for i in range(len(dataset)))
        return _ComposedDataset(**fields, origins=origins)


@dataclasses.dataclass(frozen=True, eq=False)
class _ComposedDataset(Dataset):
    """A choice from datasets that load their images in their own way (drawn scenes)."""

    origins: tuple[tuple[Dataset, int], ...] = ()

    def load_image(self, index: int) -> np.ndarray:
        """Load the image as the dataset does that it came from."""
        dataset, position = self.origins[index]
        return dataset.load_image(position)


def _refuse_shared_files(datasets: Sequence[Dataset]) -> None:
    seen: dict[str, str] = {}
    for dataset in datasets:
        for annotation in dataset:
            path = os.path.realpath(annotation.image_path) if annotation.image_path else ""
            if path and path in seen:
                raise BadDataError(
                    annotation.image_path,
                    f"image {annotation.image_id}",
                    f"the image is in {seen[path]} and in {dataset.source}: name each source once, "
                    "or take the image out of one of the two",
                )
            seen[path] = dataset.source
