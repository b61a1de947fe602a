"""The one annotation type that every reader produces and every consumer takes."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterator, Sequence

import numpy as np

from keras_hkd.data.findings import Findings, merged_findings
from keras_hkd.data.image_files import UnreadableImageError, decode_image
from keras_hkd.errors import InvalidValueError


@dataclasses.dataclass(frozen=True)
class BadRecord:
    """One piece of bad input: where it is and what is wrong with it.

    Args:
        file: the annotation or image file that holds it.
        record: the record within the file, such as "annotation 17" or "line 3".
        problem: what was expected, what came and how to mend it.
    """

    file: str
    record: str
    problem: str

    def __str__(self) -> str:
        return f"{self.file}: {self.record}: {self.problem}"


class BadDataError(InvalidValueError):
    """Data that cannot be used; names file and record, says what was expected and how to mend it.

    Args:
        file: the annotation or image file.
        record: the record within the file.
        problem: what was expected, what came and how to mend it.

    Example:
        >>> print(BadDataError("boxes.json", "annotation 17", "width must be above 0, got -3"))
        boxes.json: annotation 17: width must be above 0, got -3
    """

    def __init__(self, file: str | os.PathLike, record: str, problem: str):
        super().__init__(str(file), record, problem)
        self.file, self.record, self.problem = str(file), record, problem

    def __str__(self) -> str:
        return f"{self.file}: {self.record}: {self.problem}"


def _column(value, name: str, dtype, shape: tuple[int, ...]) -> np.ndarray:
    if isinstance(value, np.ndarray) and value.dtype == dtype and value.shape == shape:
        if not value.flags.writeable:
            return value
    array = np.array(value, dtype=dtype)
    if array.size == 0:
        array = array.reshape(0, *shape[1:])
    if array.shape != shape:
        raise InvalidValueError(f"`{name}` must have shape {shape}. Received: {array.shape}")
    array.setflags(write=False)
    return array


COLUMNS = {
    "boxes": (np.float64, 4),
    "classes": (np.int32,),
    "ignore": (bool,),
    "visible_boxes": (np.float64, 4),
    "crowd": (bool,),
    "visibility": (np.float64,),
    "occlusion": (np.int32,),
    "areas": (np.float64,),
    "annotation_ids": (np.int64,),
}
"""What an `ImageAnnotation` knows of its boxes, a row each: type and width of each array."""


@dataclasses.dataclass(frozen=True, eq=False)
class ImageAnnotation:
    """What is known about one image; arrays are copied and made read-only.

    Args:
        image_path: absolute path of the image file; "" where it is unknown or drawn on the fly.
        image_id: the id under which results name this image (int in COCO, else the file's stem).
        width: width of the image in pixels.
        height: height of the image in pixels.
        boxes: float64 (n, 4), xyxy in pixels of the image, (0, 0) its upper left corner.
        classes: int32 (n,), index into the dataset's `class_names`.
        ignore: bool (n,), boxes that neither help nor hurt a detector; all False if None.
        visible_boxes: float64 (n, 4), the visible part; `boxes` where it is not known or if None.
        name: name of the picture as its annotations have it, with folders; "" where they do not.
        crowd: bool (n,), boxes that average precision takes for crowd regions; `ignore` if None.
        visibility: float64 (n,), visible share; that of `visible_boxes` if None.
        occlusion: int32 (n,), level of occlusion, 0 for none; None where it is not known.
        areas: float64 (n,), square pixels of the objects; those of the boxes if None.
        annotation_ids: int64 (n,), ids in the file; None where there are none.

    Raises:
        ValueError: the arrays do not have one row per box.

    Example:
        >>> one = ImageAnnotation("", 1, 64, 48, boxes=[[1, 2, 11, 32]], classes=[0])
        >>> one.boxes.shape, one.ignore.tolist(), one.visible_boxes.tolist()
        ((1, 4), [False], [[1.0, 2.0, 11.0, 32.0]])
    """

    image_path: str
    image_id: int | str
    width: int
    height: int
    boxes: np.ndarray
    classes: np.ndarray
    ignore: np.ndarray | None = None
    visible_boxes: np.ndarray | None = None
    name: str = ""
    crowd: np.ndarray | None = None
    visibility: np.ndarray | None = None
    occlusion: np.ndarray | None = None
    areas: np.ndarray | None = None
    annotation_ids: np.ndarray | None = None

    def __post_init__(self):
        num_boxes = len(self.boxes)
        if self.ignore is None:
            object.__setattr__(self, "ignore", np.zeros(num_boxes, bool))
        if self.visible_boxes is None:
            object.__setattr__(self, "visible_boxes", self.boxes)
        for name, (dtype, *width) in COLUMNS.items():
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _column(value, name, dtype, (num_boxes, *width)))

    def with_boxes(self, boxes, classes) -> ImageAnnotation:
        """The same image with other boxes, of which no more is known.

        Args:
            boxes: as of the class.
            classes: as of the class.
        """
        unknown = dict.fromkeys(name for name in COLUMNS if name not in ("boxes", "classes"))
        return dataclasses.replace(self, boxes=boxes, classes=classes, **unknown)

    @property
    def num_boxes(self) -> int:
        """Number of boxes, ignore regions included."""
        return len(self.boxes)

    @property
    def file_name(self) -> str:
        """The image file's name without its folder; the id where there is no file."""
        return os.path.basename(self.image_path) or str(self.image_id)


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

    def __post_init__(self):
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
        from keras_hkd.data.summary import summary

        return summary(self)

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
    def merge(datasets: Sequence[Dataset]) -> Dataset:
        """Join datasets of the same classes, one after the other.

        Image ids stay where they are unique and all of one type; else the images are numbered
        from 1 in the merged order.

        Args:
            datasets: at least one dataset.

        Raises:
            ValueError: no dataset, or the class names differ.
            BadDataError: the same image file is in two of them.

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
        _refuse_shared_files(datasets)
        annotations = with_unique_ids([a for dataset in datasets for a in dataset])
        formats = dict.fromkeys(dataset.format for dataset in datasets)
        ids = {dataset.category_ids for dataset in datasets}
        fields = {
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
                    f"the image is in {seen[path]} and in {dataset.source}: name each source once",
                )
            seen[path] = dataset.source


def with_unique_ids(
    annotations: Sequence[ImageAnnotation], of_one_type: bool = True
) -> tuple[ImageAnnotation, ...]:
    """Number the images from 1 if two share an id, or if some ids are numbers and some text.

    Args:
        annotations: images of one dataset, maybe from several files.
        of_one_type: False to leave numbers and text beside one another, as one file may have them.
    """
    ids = [annotation.image_id for annotation in annotations]
    types = {isinstance(i, str) for i in ids}
    if len(set(ids)) == len(ids) and (len(types) <= 1 or not of_one_type):
        return tuple(annotations)
    return tuple(
        dataclasses.replace(annotation, image_id=number)
        for number, annotation in enumerate(annotations, start=1)
    )
