"""Detections: the form in which all metrics take detections."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_hkd.data.annotations import BadRecord
from keras_hkd.data.classes import canonical
from keras_hkd.data.formats.bad_records import CHOICES
from keras_hkd.data.result_pictures import UNKNOWN, ResultPictures
from keras_hkd.errors import InvalidTypeError, InvalidValueError
from keras_hkd.metrics.ground_truth import (
    GroundTruth,
    box_column,
    integer_column,
    number_column,
)


@dataclasses.dataclass(frozen=True, eq=False)
class Detections:
    """The detections in all images in flat arrays: n detections, one row each.

    Args:
        image_index: `(n,)` position of the image in the ground truth's `image_ids`.
        boxes: `(n, 4)` left, top, width, height in pixels.
        scores: `(n,)`, of any scale; higher is more confident.
        category_ids: `(n,)`, ids of the ground truth's categories.
        skipped: the results that were left out (`on_bad_data="skip"`).
    """

    image_index: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    category_ids: np.ndarray
    skipped: tuple[BadRecord, ...] = ()

    def __len__(self) -> int:
        return len(self.scores)

    def of_category(self, category_id: int, where: np.ndarray | bool = True) -> Detections:
        """Return the detections with the category of some or all of them replaced.

        Args:
            category_id: id of the new category.
            where: bool mask of the detections whose category changes; all by default.
        """
        category_ids = np.where(where, category_id, self.category_ids)
        return dataclasses.replace(self, category_ids=category_ids)

    def select(self, keep: np.ndarray) -> Detections:
        """Return some of the detections.

        Args:
            keep: bool mask or positions.
        """
        return Detections(
            self.image_index[keep],
            self.boxes[keep],
            self.scores[keep],
            self.category_ids[keep],
            self.skipped,
        )


def as_detections(
    detections: Any,
    ground_truth: GroundTruth,
    on_bad_data: str = "raise",
    unknown_images: str | None = None,
) -> Detections:
    """Convert detections to `Detections`.

    Args:
        detections: one of
            a list of COCO results: dicts of `image_id`, `bbox` (left, top, width, height in
            pixels), `score` and optionally `category_id` (the ground truth's first if absent) and
            `file_name`; images are found by `file_name` where every result has one that says which,
            else by `image_id`, else by the file's name without suffix (see
            `keras_hkd.data.result_pictures`);
            a dict of arrays: `image_ids` (n,), `boxes` (n, 4) xyxy pixels, `scores` (n,) and
            optionally `classes` (n,) from 0, in the order of the ground truth's categories
            (category id = class + 1 if it has none);
            `Detections`, returned as they are.
        ground_truth: the ground truth; it must have every image.
        on_bad_data: "raise" to raise an error at the first bad result, or "skip" to leave bad
            results out and list them in `Detections.skipped`.
        unknown_images: the same for results whose image is not in the ground truth; `on_bad_data`
            if None.

    Raises:
        TypeError: if `detections` is none of these.
        ValueError: if a record lacks a field, names an unknown image, or different images by its id
            and its file name, or holds a number that is not finite or a negative size.

    Example:

    >>> from keras_hkd.metrics import as_ground_truth
    >>> truth = as_ground_truth([{"image_id": 7, "boxes": [[1, 2, 11, 32]]}])
    >>> found = [{"image_id": 7, "category_id": 1, "bbox": [1, 2, 10, 30], "score": 0.9}]
    >>> as_detections(found, truth).scores.tolist()
    [0.9]
    """
    if on_bad_data not in CHOICES:
        raise InvalidValueError(
            f"`on_bad_data` must be one of {CHOICES}. Received: {on_bad_data!r}"
        )
    if isinstance(detections, Detections):
        return detections
    if isinstance(detections, Mapping):
        return _from_arrays(detections, ground_truth)
    if isinstance(detections, str | bytes) or not isinstance(detections, Iterable):
        raise InvalidTypeError(
            "`detections` must be a list of COCO results or a dict of arrays; files are read by "
            f"`read_detections`. Received: {type(detections).__name__}"
        )
    unknown = unknown_images or on_bad_data
    return _from_results(list(detections), ground_truth, on_bad_data, unknown)


def _from_results(results: list, truth: GroundTruth, on_bad_data: str, unknown: str) -> Detections:
    skipped: list[BadRecord] = []
    try:
        columns = _columns(results, range(len(results)), truth)
        kept = results
    except ValueError:
        if on_bad_data == "raise":
            raise
        rows = _good_rows(results, truth, skipped)
        kept = [results[row] for row in rows]
        if not kept:
            raise
        columns = _columns(kept, rows, truth)
    pictures = ResultPictures(truth.image_ids, truth.image_names)
    ids = [result["image_id"] for result in kept]
    names = [result.get("file_name") for result in kept]
    index = pictures.positions(ids, names, unknown=unknown)
    known = index != UNKNOWN
    for row in np.flatnonzero(~known).tolist():
        problem = f"the ground truth has no image {ids[row]!r}"
        skipped.append(BadRecord("detections", _name(row), problem))
    found = Detections(index, *columns, skipped=tuple(skipped))
    return found if known.all() else found.select(known)


def _columns(
    results: list, rows: Sequence[int], truth: GroundTruth
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read boxes, scores and categories of results; `rows` are their positions in the file."""

    def name(position: int) -> str:
        return _name(rows[position])

    for position, result in enumerate(results):
        if not isinstance(result, Mapping) or not {"image_id", "bbox", "score"} <= set(result):
            raise InvalidValueError(
                f"{name(position)}: must be an object with image_id, bbox and score. "
                f"Received: {str(result)[:200]}"
            )
    boxes = box_column([result["bbox"] for result in results], "bbox", name)
    scores = number_column([result["score"] for result in results], "score", name)
    default = min(truth.category_names, default=1)
    given = [result.get("category_id", default) for result in results]
    categories = integer_column(_known_categories(given, truth), "category_id", name)
    return boxes, scores.reshape(-1), categories


def _known_categories(given: list, truth: GroundTruth) -> list:
    """Convert category ids or names of results to the ground truth's ids."""
    aliases: dict[Any, int] = dict(truth.category_aliases)
    aliases |= {str(i): of for i, of in truth.category_aliases.items()}
    by_name = {canonical(name): i for i, name in truth.category_names.items()}

    def own(category: Any) -> Any:
        if isinstance(category, str):
            return aliases.get(category.strip(), by_name.get(canonical(category), category))
        return aliases.get(category, category) if isinstance(category, (int, float)) else category

    return [own(category) for category in given]


def _good_rows(results: list, truth: GroundTruth, skipped: list[BadRecord]) -> list[int]:
    rows = []
    for row, result in enumerate(results):
        try:
            _columns([result], [row], truth)
            rows.append(row)
        except ValueError as error:
            where, _, problem = str(error).partition(": ")
            skipped.append(BadRecord("detections", where, problem))
    return rows


def _from_arrays(arrays: Mapping, ground_truth: GroundTruth) -> Detections:
    missing = {"image_ids", "boxes", "scores"} - set(arrays)
    if missing:
        raise InvalidValueError(
            "A dict of detections must hold the arrays image_ids, boxes and scores. "
            f"Received: {sorted(arrays)}, without {sorted(missing)}"
        )
    image_ids = list(arrays["image_ids"])
    corners = np.asarray(arrays["boxes"], dtype=np.float64).reshape(-1, 4)
    scores = np.asarray(arrays["scores"], dtype=np.float64).reshape(-1)
    classes = np.asarray(arrays.get("classes", np.zeros(len(scores)))).reshape(-1)
    lengths = {len(image_ids), len(corners), len(scores), len(classes)}
    if len(lengths) > 1:
        raise InvalidValueError(
            "image_ids, boxes, scores and classes must have one row per detection. Received: "
            f"{len(image_ids)}, {len(corners)}, {len(scores)} and {len(classes)} rows"
        )
    boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    pictures = ResultPictures(ground_truth.image_ids, ground_truth.image_names)
    return Detections(
        image_index=pictures.positions(image_ids, [None] * len(image_ids)),
        boxes=box_column(boxes, "boxes (as left, top, width, height)", _name).reshape(-1, 4),
        scores=number_column(scores, "scores", _name),
        category_ids=_ids_of_classes(classes, ground_truth),
    )


def _ids_of_classes(classes: np.ndarray, truth: GroundTruth) -> np.ndarray:
    numbers = integer_column(classes, "classes", _name)
    ids = np.array(list(dict.fromkeys(truth.category_aliases.values())), np.int64)
    if not len(ids):
        return numbers + 1
    bad = np.flatnonzero((numbers < 0) | (numbers >= len(ids)))
    if len(bad):
        raise InvalidValueError(
            f"{_name(bad[0])}: `classes` must be from 0 to {len(ids) - 1}, positions among the "
            f"ground truth's categories {ids.tolist()}. Received: {numbers[bad[0]]}"
        )
    return ids[numbers]


def _name(position: int) -> str:
    return f"detection number {position + 1}"
