"""The one annotation type that every reader produces and every consumer takes."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

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

    >>> print(BadDataError("a.json", "annotation 17", "width must be 1 or more. Received: -3"))
    a.json: annotation 17: width must be 1 or more. Received: -3
    """

    def __init__(self, file: str | os.PathLike, record: str, problem: str) -> None:
        super().__init__(str(file), record, problem)
        self.file, self.record, self.problem = str(file), record, problem

    def __str__(self) -> str:
        return f"{self.file}: {self.record}: {self.problem}"


def _column(value: Any, name: str, dtype: Any, shape: tuple[int, ...]) -> np.ndarray:
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


COLUMNS: dict[str, tuple[Any, ...]] = {
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
    # None becomes an array when the object is made.
    ignore: np.ndarray = None  # type: ignore[assignment]
    visible_boxes: np.ndarray = None  # type: ignore[assignment]
    name: str = ""
    crowd: np.ndarray | None = None
    visibility: np.ndarray | None = None
    occlusion: np.ndarray | None = None
    areas: np.ndarray | None = None
    annotation_ids: np.ndarray | None = None

    def __post_init__(self) -> None:
        num_boxes = len(self.boxes)
        if self.ignore is None:
            object.__setattr__(self, "ignore", np.zeros(num_boxes, bool))
        if self.visible_boxes is None:
            object.__setattr__(self, "visible_boxes", self.boxes)
        for name, (dtype, *width) in COLUMNS.items():
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _column(value, name, dtype, (num_boxes, *width)))

    def with_boxes(self, boxes: Any, classes: Any) -> ImageAnnotation:
        """Return the image with other boxes, of which no more is known.

        Args:
            boxes: see the class.
            classes: see the class.
        """
        unknown: dict[str, Any] = dict.fromkeys(
            name for name in COLUMNS if name not in ("boxes", "classes")
        )
        return dataclasses.replace(self, boxes=boxes, classes=classes, **unknown)

    @property
    def num_boxes(self) -> int:
        """Number of boxes, ignore regions included."""
        return len(self.boxes)

    @property
    def file_name(self) -> str:
        """The image file's name without its folder; the id where there is no file."""
        return os.path.basename(self.image_path) or str(self.image_id)


def with_unique_ids(
    annotations: Sequence[ImageAnnotation], of_one_type: bool = True
) -> tuple[ImageAnnotation, ...]:
    """Give the images numbers from 1 if two share an id, or if some ids are numbers and some text.

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
