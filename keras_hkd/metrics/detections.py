"""Detections as the metrics use them: one row each, whatever form they came in."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np

from keras_hkd.metrics.ground_truth import (
    GroundTruth,
    box_column,
    integer_column,
    number_column,
)


@dataclasses.dataclass(frozen=True, eq=False)
class Detections:
    """Detections in all images in flat arrays: n detections, one row each.

    Args:
        image_index: `(n,)` position of the image in the ground truth's `image_ids`.
        boxes: `(n, 4)` left, top, width, height in pixels.
        scores: `(n,)`, any scale; higher is surer.
        category_ids: `(n,)`; 1 is the person.
    """

    image_index: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    category_ids: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)

    def select(self, keep: np.ndarray) -> Detections:
        """Some of the detections, in the order of `keep`.

        Args:
            keep: bool mask or positions.
        """
        return Detections(
            self.image_index[keep], self.boxes[keep], self.scores[keep], self.category_ids[keep]
        )


def as_detections(detections, ground_truth: GroundTruth) -> Detections:
    """Bring detections of any form that the metrics take into one form.

    Args:
        detections: one of
            a list of COCO results: dicts of `image_id`, `bbox` (left, top, width, height in
            pixels), `score` and optionally `category_id` (1 if absent);
            a dict of arrays: `image_ids` (n,), `boxes` (n, 4) xyxy pixels, `scores` (n,) and
            optionally `classes` (n,) from 0 (category id = class + 1);
            `Detections`, returned as they are.
        ground_truth: what they are compared with; every image id must be in it.

    Raises:
        TypeError: `detections` is none of these.
        ValueError: a record lacks something, names an unknown image, or holds a number that is not
            finite or a negative size.

    Example:
        >>> from keras_hkd.metrics import as_ground_truth
        >>> truth = as_ground_truth([{"image_id": 7, "boxes": [[1, 2, 11, 32]]}])
        >>> found = [{"image_id": 7, "category_id": 1, "bbox": [1, 2, 10, 30], "score": 0.9}]
        >>> as_detections(found, truth).scores.tolist()
        [0.9]
    """
    if isinstance(detections, Detections):
        return detections
    if isinstance(detections, Mapping):
        return _from_arrays(detections, ground_truth)
    if isinstance(detections, str | bytes) or not isinstance(detections, Iterable):
        raise TypeError(
            "`detections` must be a list of COCO results or a dict of arrays; files are read by "
            f"`read_detections`. Received: {type(detections).__name__}"
        )
    return _from_results(list(detections), ground_truth)


def _from_results(results: list, ground_truth: GroundTruth) -> Detections:
    for position, result in enumerate(results):
        if not isinstance(result, Mapping) or not {"image_id", "bbox", "score"} <= set(result):
            raise ValueError(
                f"{_name(position)}: must be an object with image_id, bbox and score. "
                f"Received: {str(result)[:200]}"
            )
    boxes = box_column([result["bbox"] for result in results], "bbox", _name)
    scores = number_column([result["score"] for result in results], "score", _name)
    categories = [result.get("category_id", 1) for result in results]
    return Detections(
        image_index=_positions([result["image_id"] for result in results], ground_truth),
        boxes=boxes,
        scores=scores.reshape(-1),
        category_ids=integer_column(categories, "category_id", _name),
    )


def _from_arrays(arrays: Mapping, ground_truth: GroundTruth) -> Detections:
    missing = {"image_ids", "boxes", "scores"} - set(arrays)
    if missing:
        raise ValueError(
            "A dict of detections must hold the arrays image_ids, boxes and scores. "
            f"Received: {sorted(arrays)}, without {sorted(missing)}"
        )
    image_ids = [_plain(image_id) for image_id in arrays["image_ids"]]
    corners = np.asarray(arrays["boxes"], dtype=np.float64).reshape(-1, 4)
    scores = np.asarray(arrays["scores"], dtype=np.float64).reshape(-1)
    classes = np.asarray(arrays.get("classes", np.zeros(len(scores)))).reshape(-1)
    lengths = {len(image_ids), len(corners), len(scores), len(classes)}
    if len(lengths) > 1:
        raise ValueError(
            "image_ids, boxes, scores and classes must have one row per detection. Received: "
            f"{len(image_ids)}, {len(corners)}, {len(scores)} and {len(classes)} rows"
        )
    boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    return Detections(
        image_index=_positions(image_ids, ground_truth),
        boxes=box_column(boxes, "boxes (as left, top, width, height)", _name).reshape(-1, 4),
        scores=number_column(scores, "scores", _name),
        category_ids=classes.astype(np.int64) + 1,
    )


def _plain(image_id):
    return image_id.item() if isinstance(image_id, np.generic) else image_id


def _positions(image_ids: list, ground_truth: GroundTruth) -> np.ndarray:
    index = {image_id: position for position, image_id in enumerate(ground_truth.image_ids)}
    try:
        return np.array([index[image_id] for image_id in image_ids], dtype=np.int64)
    except (KeyError, TypeError):
        pass
    position = next(
        i
        for i, image_id in enumerate(image_ids)
        if not _hashable(image_id) or image_id not in index
    )
    raise ValueError(
        f"{_name(position)}: the ground truth has no image with id {image_ids[position]!r}; its "
        f"{ground_truth.num_images} ids begin with {list(ground_truth.image_ids[:3])}. "
        "`keras-hkd evaluate --save-detections` writes detections with the ids of a dataset."
    )


def _hashable(value) -> bool:
    return isinstance(value, int | float | str)


def _name(position) -> str:
    return f"detection number {position + 1}"
