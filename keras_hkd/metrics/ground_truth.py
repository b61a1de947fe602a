"""Ground truth as the metrics use it: one row per box, whatever form it came in."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np

_COCO_KEYS = ("images", "annotations")


@dataclasses.dataclass(frozen=True, eq=False)
class GroundTruth:
    """Boxes of all images in flat arrays: n boxes, one row each.

    Boxes stay in the form of COCO files, left, top, width, height, so that overlaps come out bit
    for bit as in the reference codes; at a threshold the last bit decides.

    Args:
        image_ids: ids of all images, those without boxes included, in ascending order.
        image_names: name of each image, "" where unknown (KAIST tells day from night by it).
        image_sizes: `(num_images, 2)` height, width in pixels.
        image_index: `(n,)` position in `image_ids` of each box's image.
        boxes: `(n, 4)` left, top, width, height in pixels.
        category_ids: `(n,)`; 1 is the person, or pedestrian.
        ignore: `(n,)` bool, boxes that neither help nor hurt (miss rate).
        crowd: `(n,)` bool, COCO's crowd regions (average precision).
        areas: `(n,)` square pixels, by which COCO calls objects small, medium or large.
        heights: `(n,)` pixels.
        visibility: `(n,)` visible share of each box, 1 where it is not known.
        occlusion: `(n,)` KAIST's occlusion level, 0 where it is not known.
        annotation_ids: `(n,)` ids of the boxes.
        category_names: `{category id: name}`.
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

    @property
    def num_images(self) -> int:
        """Number of images, with or without boxes."""
        return len(self.image_ids)

    def select(self, keep: np.ndarray) -> GroundTruth:
        """The same images with some of the boxes.

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


def as_ground_truth(ground_truth) -> GroundTruth:
    """Bring ground truth of any form that the metrics take into one form.

    Args:
        ground_truth: one of
            a `GroundTruth`, returned as it is;
            a dict in COCO's form: `images` (`id`, `width`, `height`, optionally `file_name` or
            `im_name`) and `annotations` (`image_id`, `bbox` as left, top, width, height;
            optionally `id`, `category_id`, `iscrowd`, `ignore`, `area`, `height`, `vis_bbox` or
            `vis_ratio`, `occlusion`);
            an iterable of image annotations, such as a `keras_hkd.data` dataset: objects or dicts
            with `image_id`, `width`, `height`, `boxes` (n, 4) xyxy pixels, and optionally
            `classes` (n,) from 0 (category id = class + 1), `ignore` (n,), `visible_boxes` (n, 4),
            `image_path`. Ignored boxes count as crowd regions for average precision.

    Returns:
        The ground truth, images in ascending order of their ids.

    Raises:
        TypeError: `ground_truth` is none of these.
        ValueError: a record lacks something, an id is there twice, or a box is not finite or has a
            negative size.

    Example:
        >>> image = {"image_id": 7, "width": 64, "height": 48, "boxes": [[1, 2, 11, 32]]}
        >>> truth = as_ground_truth([image])
        >>> truth.boxes.tolist(), truth.visibility.tolist()
        ([[1.0, 2.0, 10.0, 30.0]], [1.0])
    """
    if isinstance(ground_truth, GroundTruth):
        return ground_truth
    if isinstance(ground_truth, Mapping):
        return _from_coco(ground_truth)
    if isinstance(ground_truth, str | bytes) or not isinstance(ground_truth, Iterable):
        raise TypeError(
            "`ground_truth` must be a COCO dict or an iterable of image annotations; files are "
            f"read by `read_ground_truth`. Received: {type(ground_truth).__name__}"
        )
    return _from_image_annotations(ground_truth)


def person_category(ground_truth: GroundTruth) -> int:
    """Id of the category named "person" or "pedestrian"; 1 where there is none.

    Args:
        ground_truth: with or without names of categories.
    """
    for category_id, name in sorted(ground_truth.category_names.items()):
        if name.lower() in ("person", "pedestrian"):
            return category_id
    return 1


def order_of_ids(ids) -> list[int]:
    """Positions that bring image ids into ascending order; numbers before names.

    Args:
        ids: ints or strings.
    """
    return sorted(range(len(ids)), key=lambda i: (isinstance(ids[i], str), ids[i]))


def number_column(values, what: str, names) -> np.ndarray:
    """Numbers as a float64 array, or an error that names the first record that holds none.

    Args:
        values: one number, or one list of numbers, per record.
        what: the field's name, for the error.
        names: function from position to the record's name.

    Raises:
        ValueError: a value is missing, not a number or not finite, or lists differ in length.
    """
    try:
        column = np.array(values, dtype=np.float64)
        if np.isfinite(column).all():
            return column
    except (TypeError, ValueError):
        pass
    for position, value in enumerate(values):
        try:
            good = np.isfinite(np.array(value, dtype=np.float64)).all()
        except (TypeError, ValueError):
            good = False
        if not good:
            raise ValueError(f"{names(position)}: `{what}` must be finite. Received: {value!r}")
    raise ValueError(f"`{what}` must have the same length in every record.")


def integer_column(values, what: str, names) -> np.ndarray:
    """Whole numbers as an int64 array; see `number_column`."""
    column = number_column(values, what, names)
    bad = np.flatnonzero((column != np.floor(column)) | (np.abs(column) > 2**53))
    if len(bad):
        raise ValueError(
            f"{names(bad[0])}: `{what}` must be a whole number. Received: {values[bad[0]]!r}"
        )
    return column.astype(np.int64)


def box_column(values, what: str, names) -> np.ndarray:
    """Boxes `(n, 4)` left, top, width, height, checked; see `number_column`."""
    for position, value in enumerate(values):
        if not hasattr(value, "__len__") or len(value) != 4:
            raise ValueError(
                f"{names(position)}: `{what}` must be left, top, width, height. Received: {value!r}"
            )
    boxes = number_column(values, what, names).reshape(-1, 4)
    bad = np.flatnonzero((boxes[:, 2:] < 0).any(axis=1))
    if len(bad):
        raise ValueError(
            f"{names(bad[0])}: width and height must not be negative. "
            f"Received: {what}={boxes[bad[0]].tolist()}"
        )
    return boxes


def _from_coco(content: Mapping) -> GroundTruth:
    missing = [key for key in _COCO_KEYS if not isinstance(content.get(key), list)]
    if missing:
        raise ValueError(
            f"COCO ground truth must be an object with the lists {', '.join(_COCO_KEYS)}. "
            f"Received: keys {sorted(map(str, content))}"
        )
    images, annotations = content["images"], content["annotations"]
    _require_keys(images, ("id",), ("id",), "image")
    _require_keys(annotations, ("image_id", "bbox"), ("image_id",), "annotation")
    images = [images[i] for i in order_of_ids([image["id"] for image in images])]
    index = _index_of_ids([image["id"] for image in images])

    def name(position):
        return f"annotation {annotations[position].get('id', f'number {position + 1}')}"

    def column(key, default, convert=number_column):
        values = [record.get(key) for record in annotations]
        values = [d if v is None else v for v, d in zip(values, default, strict=True)]
        return convert(values, key, name)

    zeros = np.zeros(len(annotations))
    boxes = box_column([record["bbox"] for record in annotations], "bbox", name)
    crowd = column("iscrowd", zeros) != 0
    return GroundTruth(
        image_ids=tuple(image["id"] for image in images),
        image_names=tuple(str(i.get("file_name") or i.get("im_name") or "") for i in images),
        image_sizes=_sizes_of_coco(images),
        image_index=_image_index(annotations, index, name),
        boxes=boxes,
        category_ids=column("category_id", zeros + 1, integer_column),
        ignore=crowd | (column("ignore", zeros) != 0),
        crowd=crowd,
        areas=column("area", boxes[:, 2] * boxes[:, 3]),
        heights=column("height", boxes[:, 3]),
        visibility=column("vis_ratio", _visibility_of_coco(annotations, boxes, name)),
        occlusion=column("occlusion", zeros, integer_column),
        annotation_ids=column("id", zeros + 1 + np.arange(len(annotations)), integer_column),
        category_names=_category_names(content.get("categories") or []),
    )


def _sizes_of_coco(images) -> np.ndarray:
    sizes = [[image.get("height") or 0, image.get("width") or 0] for image in images]
    return number_column(sizes, "height and width", lambda i: f"image {images[i]['id']}").reshape(
        -1, 2
    )


def _image_index(annotations, index, name) -> np.ndarray:
    for position, annotation in enumerate(annotations):
        if annotation["image_id"] not in index:
            raise ValueError(
                f"{name(position)}: there is no image with id {annotation['image_id']!r}."
            )
    return np.array([index[a["image_id"]] for a in annotations], dtype=np.int64)


def _category_names(categories) -> dict[int, str]:
    if not isinstance(categories, list):
        raise ValueError(f"`categories` must be a list. Received: {str(categories)[:200]}")
    _require_keys(categories, ("id",), (), "category")
    ids = integer_column([c["id"] for c in categories], "id", lambda i: f"category number {i + 1}")
    return {int(i): str(c.get("name", i)) for i, c in zip(ids, categories, strict=True)}


def _visibility_of_coco(annotations, boxes, name) -> np.ndarray:
    visible = boxes.copy()
    known = [i for i, record in enumerate(annotations) if record.get("vis_bbox") is not None]
    if known:
        given = [annotations[i]["vis_bbox"] for i in known]
        visible[known] = box_column(given, "vis_bbox", lambda position: name(known[position]))
    return _visibility(boxes, visible[:, 2:])


def _visibility(boxes, visible_sides) -> np.ndarray:
    areas = boxes[:, 2] * boxes[:, 3]
    visible_areas = visible_sides[:, 0] * visible_sides[:, 1]
    return np.where(areas > 0, visible_areas / np.where(areas > 0, areas, 1.0), 1.0)


def _from_image_annotations(annotations: Iterable) -> GroundTruth:
    class_names = getattr(annotations, "class_names", ())
    images = [_ImageFields(annotation, i) for i, annotation in enumerate(annotations)]
    images = [images[i] for i in order_of_ids([image.image_id for image in images])]
    _index_of_ids([image.image_id for image in images])
    counts = [len(image.boxes) for image in images]
    boxes = _stack(images, "boxes", (0, 4))
    ignore = _stack(images, "ignore", (0,)).astype(bool)
    num_boxes = len(boxes)
    return GroundTruth(
        image_ids=tuple(image.image_id for image in images),
        image_names=tuple(image.name for image in images),
        image_sizes=np.array([image.size for image in images], dtype=np.float64).reshape(-1, 2),
        image_index=np.repeat(np.arange(len(images)), counts),
        boxes=boxes,
        category_ids=_stack(images, "classes", (0,)).astype(np.int64) + 1,
        ignore=ignore,
        crowd=ignore,
        areas=boxes[:, 2] * boxes[:, 3],
        heights=boxes[:, 3],
        visibility=_visibility(boxes, _stack(images, "visible_sides", (0, 2))),
        occlusion=np.zeros(num_boxes, np.int64),
        annotation_ids=np.arange(1, num_boxes + 1),
        category_names={i + 1: str(name) for i, name in enumerate(class_names)},
    )


class _ImageFields:
    """One image annotation, object or dict, with its arrays checked."""

    def __init__(self, annotation, position):
        read = annotation.get if isinstance(annotation, Mapping) else _attribute_of(annotation)
        self.image_id = read("image_id", None)
        if self.image_id is None or read("boxes", None) is None:
            raise ValueError(
                f"Image annotation number {position + 1} must have `image_id` and `boxes` (xyxy "
                f"pixels). Received: {type(annotation).__name__}"
            )
        self.name = str(read("image_path", None) or "")
        self.size = (read("height", 0) or 0, read("width", 0) or 0)
        corners = self._corners(read("boxes", None), "boxes")
        num_boxes = len(corners)
        self.boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
        visible = read("visible_boxes", None)
        visible = corners if visible is None else self._corners(visible, "visible_boxes")
        self.visible_sides = visible[:, 2:] - visible[:, :2]
        self.ignore = self._rows(read("ignore", None), "ignore", num_boxes)
        self.classes = self._rows(read("classes", None), "classes", num_boxes)

    def _corners(self, values, what):
        boxes = np.asarray(values, dtype=np.float64)
        boxes = boxes.reshape(0, 4) if boxes.size == 0 else boxes
        if boxes.ndim != 2 or boxes.shape[1] != 4 or not np.isfinite(boxes).all():
            raise ValueError(
                f"Image {self.image_id!r}: `{what}` must be finite and of shape (n, 4), xyxy "
                f"pixels. Received: shape {boxes.shape}"
            )
        if (boxes[:, 2:] < boxes[:, :2]).any():
            raise ValueError(f"Image {self.image_id!r}: `{what}` must be xyxy with x2>=x1, y2>=y1.")
        return boxes

    def _rows(self, values, what, num_boxes):
        values = np.zeros(num_boxes) if values is None else np.asarray(values)
        if values.shape != (num_boxes,):
            raise ValueError(
                f"Image {self.image_id!r}: `{what}` must have one value for each of the "
                f"{num_boxes} boxes. Received: shape {values.shape}"
            )
        return values


def _attribute_of(annotation):
    return lambda name, default: getattr(annotation, name, default)


def _stack(images, field, empty_shape) -> np.ndarray:
    parts = [getattr(image, field) for image in images if len(image.boxes)]
    return np.concatenate(parts) if parts else np.zeros(empty_shape)


def _require_keys(records, keys, id_keys, what) -> None:
    for position, record in enumerate(records):
        good = isinstance(record, Mapping) and all(record.get(key) is not None for key in keys)
        if not good:
            raise ValueError(
                f"{what} number {position + 1}: must be an object with {', '.join(keys)}. "
                f"Received: {str(record)[:200]}"
            )
        for key in id_keys:
            if not isinstance(record[key], int | float | str):
                raise ValueError(
                    f"{what} number {position + 1}: `{key}` must be a number or a text. "
                    f"Received: {str(record[key])[:200]}"
                )


def _index_of_ids(ids) -> dict:
    index = {image_id: position for position, image_id in enumerate(ids)}
    if len(index) != len(ids):
        twice = next(a for a, b in zip(ids, ids[1:], strict=False) if a == b)
        raise ValueError(f"Every image must have an id of its own; id {twice!r} is there twice.")
    return index
