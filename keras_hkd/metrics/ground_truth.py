"""GroundTruth: the form in which all metrics take ground truth."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_hkd.data.classes import PERSON, canonical
from keras_hkd.errors import InvalidTypeError, InvalidValueError

_DECIMALS = 9


@dataclasses.dataclass(frozen=True, eq=False)
class GroundTruth:
    """The boxes of all images in flat arrays: n boxes, one row each.

    Boxes are kept as left, top, width, height, as in COCO files, so that overlaps are bit-identical
    to those of the reference codes; at a threshold the last bit decides.

    Args:
        image_ids: ids of all images, those without boxes included, in ascending order.
        image_names: name of each image, "" if unknown (KAIST tells day from night by it).
        image_sizes: `(num_images, 2)` height, width in pixels.
        image_index: `(n,)` position in `image_ids` of each box's image.
        boxes: `(n, 4)` left, top, width, height in pixels.
        category_ids: `(n,)`; 1 is the person, or pedestrian.
        ignore: `(n,)` bool, boxes that count neither as missed nor as found (miss rate).
        crowd: `(n,)` bool, COCO's crowd regions (average precision).
        areas: `(n,)` square pixels, by which COCO classes objects as small, medium or large.
        heights: `(n,)` heights of the boxes in pixels.
        visibility: `(n,)` visible share of each box, 1 if unknown.
        occlusion: `(n,)` KAIST's occlusion level, 0 if unknown.
        annotation_ids: `(n,)` ids of the boxes.
        category_names: `{category id: name}`; {} if the source has no names.
        category_aliases: `{id: category id}` of further ids that results may use for a category.
    """

    image_ids: tuple
    image_names: tuple[str, ...]
    image_sizes: np.ndarray
    image_index: np.ndarray
    boxes: np.ndarray
    category_ids: np.ndarray
    ignore: np.ndarray
    crowd: np.ndarray
    areas: np.ndarray
    heights: np.ndarray
    visibility: np.ndarray
    occlusion: np.ndarray
    annotation_ids: np.ndarray
    category_names: Mapping[int, str]
    category_aliases: Mapping[int | str, int] = dataclasses.field(default_factory=dict)

    @property
    def num_images(self) -> int:
        """Number of images, those without boxes included."""
        return len(self.image_ids)

    def select(self, keep: np.ndarray) -> GroundTruth:
        """Return all images with some of the boxes.

        Args:
            keep: `(n,)` bool.
        """
        rows = {name: getattr(self, name)[keep] for name in _ROW_FIELDS}
        return dataclasses.replace(self, **rows)


_ROW_FIELDS = (
    "image_index",
    "boxes",
    "category_ids",
    "ignore",
    "crowd",
    "areas",
    "heights",
    "visibility",
    "occlusion",
    "annotation_ids",
)


def as_ground_truth(ground_truth: Any) -> GroundTruth:
    """Convert ground truth to `GroundTruth`.

    Args:
        ground_truth: one of
            a `GroundTruth`, returned as it is;
            a dict in COCO's form, read as `keras_hkd.data` reads such files: `images` (`id`,
            optionally `file_name` or `im_name`, `width`, `height`), `annotations` (`image_id`,
            `bbox` as left, top, width, height; optionally `id`, `category_id`, `iscrowd`,
            `ignore`, `area`, `vis_bbox` or `vis_ratio`, `occlusion`) and optionally `categories`;
            an iterable of image annotations, such as a `keras_hkd.data` dataset: objects or dicts
            with `image_id`, `width`, `height`, `boxes` (n, 4) xyxy pixels, and optionally
            `classes` (n,) from 0 (category id = class + 1, or the dataset's `category_ids`),
            `ignore` (n,), `crowd` (n,), `visible_boxes` (n, 4), `visibility` (n,), `occlusion`
            (n,), `areas` (n,), `annotation_ids` (n,), `name` or `image_path`. Ignored boxes count
            as crowd regions for average precision, unless `crowd` says otherwise.

    Returns:
        A `GroundTruth`, with images in ascending order of their ids.

    Raises:
        TypeError: if `ground_truth` is none of these.
        ValueError: if a record lacks a field, an id occurs twice, or a box is not finite, has no
            area or lies outside its image.

    Example:

    >>> image = {"image_id": 7, "width": 64, "height": 48, "boxes": [[1, 2, 11, 32]]}
    >>> truth = as_ground_truth([image])
    >>> truth.boxes.tolist(), truth.visibility.tolist()
    ([[1.0, 2.0, 10.0, 30.0]], [1.0])
    """
    if isinstance(ground_truth, GroundTruth):
        return ground_truth
    if isinstance(ground_truth, Mapping):
        from keras_hkd.data.loading import dataset_of_coco

        return _from_image_annotations(dataset_of_coco(ground_truth, Path("ground truth")))
    if isinstance(ground_truth, str | bytes) or not isinstance(ground_truth, Iterable):
        raise InvalidTypeError(
            "`ground_truth` must be a COCO dict or an iterable of image annotations; files are "
            f"read by `read_ground_truth`. Received: {type(ground_truth).__name__}"
        )
    return _from_image_annotations(ground_truth)


def person_categories(ground_truth: GroundTruth) -> tuple[int, ...]:
    """Return the ids of the categories of people; `(1,)` if the ground truth names no category.

    Args:
        ground_truth: the ground truth, with or without names of categories.

    Raises:
        ValueError: if it names categories, and none is called person, pedestrian or the like.
    """
    names = ground_truth.category_names
    found = tuple(i for i, name in sorted(names.items()) if canonical(name) == PERSON)
    if found or not names:
        return found or (1,)
    listing = ", ".join(f"{i} ({name})" for i, name in sorted(names.items())[:20])
    raise InvalidValueError(
        "The ground truth has no category called person, pedestrian, people or human: choose one "
        f"by `category_id`, or --class NAME. Received: the categories {listing}"
    )


def scored_categories(ground_truth: GroundTruth) -> tuple[int, ...]:
    """Return the ids of the categories that a detector's miss rate is of.

    Args:
        ground_truth: the ground truth.

    Returns:
        The only category, whatever it is called; of several, those of people; () if there are none
        of people among them.
    """
    every = set(ground_truth.category_aliases.values())
    if len(every) == 1:
        return tuple(every)
    with contextlib.suppress(InvalidValueError):
        return person_categories(ground_truth)
    return ()


def order_of_ids(ids: Sequence[Any]) -> list[int]:
    """Return the positions that sort image ids in ascending order, numbers before names.

    Args:
        ids: ids of images, whole numbers or text.
    """
    return sorted(range(len(ids)), key=lambda i: (isinstance(ids[i], str), ids[i]))


def number_column(values: Any, what: str, names: Callable[[int], str]) -> np.ndarray:
    """Convert numbers to a float64 array.

    Args:
        values: one number, or one list of numbers, per record.
        what: name of the field, for the message.
        names: function from position to the record's name, for the message.

    Raises:
        ValueError: if a value is missing, not a number or not finite, or lists differ in length;
            the message names the first bad record.
    """
    try:
        column = np.array(values, dtype=np.float64)
        if np.isfinite(column).all():
            return column
    except (TypeError, ValueError):
        pass
    for position, value in enumerate(values):
        try:
            good = bool(np.isfinite(np.array(value, dtype=np.float64)).all())
        except (TypeError, ValueError):
            good = False
        if not good:
            raise InvalidValueError(
                f"{names(position)}: `{what}` must be finite. Received: {value!r}"
            )
    lengths = sorted({np.size(value) for value in values})
    raise InvalidValueError(
        f"`{what}` must have the same length in every record. Received: lengths {lengths}"
    )


def integer_column(values: Any, what: str, names: Callable[[int], str]) -> np.ndarray:
    """Convert whole numbers to an int64 array; see `number_column`."""
    column = number_column(values, what, names)
    bad = np.flatnonzero((column != np.floor(column)) | (np.abs(column) > 2**53))
    if len(bad):
        raise InvalidValueError(
            f"{names(bad[0])}: `{what}` must be a whole number. Received: {values[bad[0]]!r}"
        )
    return column.astype(np.int64)


def box_column(values: Any, what: str, names: Callable[[int], str]) -> np.ndarray:
    """Convert boxes to an array `(n, 4)` of left, top, width, height; see `number_column`."""
    for position, value in enumerate(values):
        if not hasattr(value, "__len__") or len(value) != 4:
            raise InvalidValueError(
                f"{names(position)}: `{what}` must be left, top, width, height. Received: {value!r}"
            )
    boxes = number_column(values, what, names).reshape(-1, 4)
    bad = np.flatnonzero((boxes[:, 2:] < 0).any(axis=1))
    if len(bad):
        raise InvalidValueError(
            f"{names(bad[0])}: width and height must not be negative. "
            f"Received: {what}={boxes[bad[0]].tolist()}"
        )
    return boxes


def _visibility(boxes: np.ndarray, visible_sides: np.ndarray) -> np.ndarray:
    areas = boxes[:, 2] * boxes[:, 3]
    visible_areas = visible_sides[:, 0] * visible_sides[:, 1]
    return np.where(areas > 0, visible_areas / np.where(areas > 0, areas, 1.0), 1.0)


def _from_image_annotations(annotations: Iterable) -> GroundTruth:
    names, ids, aliases = _categories(annotations)
    images = [_ImageFields(annotation, i) for i, annotation in enumerate(annotations)]
    images = [images[i] for i in order_of_ids([image.image_id for image in images])]
    _index_of_ids([image.image_id for image in images])
    counts = [len(image.boxes) for image in images]
    boxes = _stack(images, "boxes", (0, 4))
    ignore = _stack(images, "ignore", (0,)).astype(bool)
    classes = _stack(images, "classes", (0,)).astype(np.int64)
    visibility = _visibility(boxes, _stack(images, "visible_sides", (0, 2)))
    return GroundTruth(
        image_ids=tuple(image.image_id for image in images),
        image_names=tuple(image.name for image in images),
        image_sizes=np.array([image.size for image in images], dtype=np.float64).reshape(-1, 2),
        image_index=np.repeat(np.arange(len(images)), counts),
        boxes=boxes,
        category_ids=classes + 1 if ids is None else np.array(ids, np.int64)[classes],
        ignore=ignore,
        crowd=_known(images, "crowd", ignore).astype(bool),
        areas=_known(images, "areas", boxes[:, 2] * boxes[:, 3]),
        heights=boxes[:, 3],
        visibility=_known(images, "visibility", visibility),
        occlusion=_known(images, "occlusion", np.zeros(len(boxes))).astype(np.int64),
        annotation_ids=_annotation_ids(images, len(boxes)),
        category_names=names,
        category_aliases=aliases,
    )


def _categories(annotations: Iterable) -> tuple[dict, list[int] | None, dict]:
    """Return the names of categories, the category id of each class, and aliases of these ids."""
    class_names = getattr(annotations, "class_names", ())
    of_classes = getattr(annotations, "category_ids", None)
    of_classes = of_classes or [(number,) for number in range(1, len(class_names) + 1)]
    ids = [of_class[0] for of_class in of_classes]
    if not all(isinstance(i, int) for i in ids):
        ids = list(range(1, len(ids) + 1))
    aliases = {i: of for of, of_class in zip(ids, of_classes, strict=True) for i in of_class}
    names = {i: str(name) for i, name in zip(ids, class_names, strict=False) if str(i) != name}
    return names, ids or None, aliases


def _known(images: list[_ImageFields], field: str, default: np.ndarray) -> np.ndarray:
    """Stack a column that only some of the images have; others have the default."""
    parts = [(len(image.boxes), getattr(image, field)) for image in images]
    if all(part is None for _, part in parts):
        return default
    column, start = np.array(default, np.float64), 0
    for count, part in parts:
        if part is not None:
            column[start : start + count] = part
        start += count
    return column


def _annotation_ids(images: list[_ImageFields], num_boxes: int) -> np.ndarray:
    """Return the ids of the file if all boxes have unique ones, else numbers from 1."""
    if all(image.annotation_ids is not None for image in images if len(image.boxes)):
        ids = _stack(images, "annotation_ids", (0,)).astype(np.int64)
        if len(np.unique(ids)) == num_boxes:
            return ids
    return np.arange(1, num_boxes + 1)


class _ImageFields:
    """The checked arrays of one image annotation, an object or a dict."""

    crowd: np.ndarray | None
    visibility: np.ndarray | None
    occlusion: np.ndarray | None
    areas: np.ndarray | None
    annotation_ids: np.ndarray | None

    def __init__(self, annotation: Any, position: int) -> None:
        read = annotation.get if isinstance(annotation, Mapping) else _attribute_of(annotation)
        self.image_id = read("image_id", None)
        if self.image_id is None or read("boxes", None) is None:
            raise InvalidValueError(
                f"Image annotation number {position + 1} must have `image_id` and `boxes` (xyxy "
                f"pixels). Received: {type(annotation).__name__}"
            )
        self.name = str(read("name", None) or read("image_path", None) or "")
        self.size = (read("height", 0) or 0, read("width", 0) or 0)
        corners = self._corners(read("boxes", None), "boxes")
        num_boxes = len(corners)
        # Rounded, so that sides are bit-identical to those in the file.
        sides = np.round(corners[:, 2:] - corners[:, :2], _DECIMALS)
        self.boxes = np.concatenate([corners[:, :2], sides], axis=1)
        visible = read("visible_boxes", None)
        visible = corners if visible is None else self._corners(visible, "visible_boxes")
        self.visible_sides = np.round(visible[:, 2:] - visible[:, :2], _DECIMALS)
        self.ignore = self._rows(read("ignore", None), "ignore", num_boxes)
        self.classes = self._rows(read("classes", None), "classes", num_boxes)
        for field in ("crowd", "visibility", "occlusion", "areas", "annotation_ids"):
            values = read(field, None)
            setattr(self, field, None if values is None else self._rows(values, field, num_boxes))

    def _corners(self, values: Any, what: str) -> np.ndarray:
        boxes = np.asarray(values, dtype=np.float64)
        boxes = boxes.reshape(0, 4) if boxes.size == 0 else boxes
        if boxes.ndim != 2 or boxes.shape[1] != 4 or not np.isfinite(boxes).all():
            raise InvalidValueError(
                f"Image {self.image_id!r}: `{what}` must be finite and of shape (n, 4), xyxy "
                f"pixels. Received: shape {boxes.shape}"
            )
        if (boxes[:, 2:] < boxes[:, :2]).any():
            raise InvalidValueError(
                f"Image {self.image_id!r}: `{what}` must be xyxy with x2>=x1, y2>=y1. "
                f"Received: {boxes[(boxes[:, 2:] < boxes[:, :2]).any(axis=1)][0].tolist()}"
            )
        return boxes

    def _rows(self, values: Any, what: str, num_boxes: int) -> np.ndarray:
        values = np.zeros(num_boxes) if values is None else np.asarray(values)
        if values.shape != (num_boxes,):
            raise InvalidValueError(
                f"Image {self.image_id!r}: `{what}` must have one value for each of the "
                f"{num_boxes} boxes. Received: shape {values.shape}"
            )
        return values


def _attribute_of(annotation: Any) -> Callable[[str, Any], Any]:
    return lambda name, default: getattr(annotation, name, default)


def _stack(images: list[_ImageFields], field: str, empty_shape: tuple[int, ...]) -> np.ndarray:
    parts = [getattr(image, field) for image in images if len(image.boxes)]
    return np.concatenate(parts) if parts else np.zeros(empty_shape)


def _index_of_ids(ids: Sequence[Any]) -> dict:
    index = {image_id: position for position, image_id in enumerate(ids)}
    if len(index) != len(ids):
        twice = next(a for a, b in zip(ids, ids[1:], strict=False) if a == b)
        raise InvalidValueError(
            f"Every image must have an id of its own. Received: id {twice!r} is there twice"
        )
    return index
