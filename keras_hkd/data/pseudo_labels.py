"""Chooses the score from which on a teacher's detection becomes a label."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from keras_hkd.boxes.formats import convert
from keras_hkd.data.dataset import Dataset
from keras_hkd.errors import InvalidValueError


def boxes_per_image(dataset: Dataset) -> float:
    """Count the boxes that are to be found, per image; ignore regions do not count.

    Args:
        dataset: labelled images, at least one.
    """
    return float(sum(np.count_nonzero(~image.ignore) for image in dataset) / len(dataset))


def matching_threshold(scores: Sequence[float], num_images: int, per_image: float) -> float:
    """Choose the score from which on detections are as many per image as labelled boxes are.

    The k-th best score, with k = round(per_image * num_images) and at least 1; the lowest score
    where there are fewer. Detections of equal score stand or fall together, so that ties add some.

    Args:
        scores: scores of all detections in all images, in any order; at least one.
        num_images: images that the detections are from, those without a detection included.
        per_image: boxes per image to be reached.

    Raises:
        ValueError: no score.

    Example:

    >>> matching_threshold([0.9, 0.2, 0.7, 0.4], num_images=2, per_image=1.5)
    0.4
    """
    if not len(scores):
        raise InvalidValueError(
            "`scores` must hold at least one score: the teacher found nobody at all. Received: none"
        )
    rank = min(max(round(per_image * num_images), 1), len(scores))
    return float(np.sort(np.asarray(scores, float))[-rank])


def pseudo_labelled(
    unlabelled: Dataset, results: Sequence[dict], score_threshold: float
) -> Dataset:
    """Make labels of the detections that score enough; images that are left without one go.

    Args:
        unlabelled: the images that the detections are from.
        results: COCO results: dicts of `image_id`, `category_id` (of `Dataset.category_ids`),
            `bbox` (left, top, width, height in pixels) and `score`.
        score_threshold: detections that score less are no labels.

    Returns:
        A `Dataset` of the images that have a box, in their order; it may be empty.

    Example:

    >>> from keras_hkd.data.annotations import ImageAnnotation
    >>> images = [ImageAnnotation("", i, 64, 48, [], []) for i in (1, 2)]
    >>> found = [{"image_id": 2, "category_id": 1, "bbox": [4, 4, 10, 30], "score": 0.8}]
    >>> dataset = pseudo_labelled(Dataset(images, ("person",), "", ""), found, 0.5)
    >>> [(image.image_id, image.boxes.tolist()) for image in dataset]
    [(2, [[4.0, 4.0, 14.0, 34.0]])]
    """
    kept: dict[int | str, list[dict]] = {}
    for result in results:
        if result["score"] >= score_threshold:
            kept.setdefault(result["image_id"], []).append(result)
    classes_by_id = unlabelled.classes_by_id
    annotations = []
    for image in unlabelled:
        rows = kept.get(image.image_id, [])
        boxes = np.array([row["bbox"] for row in rows], float).reshape(-1, 4)
        classes = [classes_by_id[row["category_id"]] for row in rows]
        annotations.append(image.with_boxes(convert(boxes, "xywh", "xyxy"), classes))
    labelled = dataclasses.replace(unlabelled, annotations=tuple(annotations))
    return labelled.select([i for i, image in enumerate(labelled) if image.num_boxes])
