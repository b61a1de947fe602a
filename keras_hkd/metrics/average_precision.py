"""COCO average precision and recall of boxes, by pycocotools."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from keras_hkd.errors import InvalidValueError
from keras_hkd.metrics.detections import Detections, as_detections
from keras_hkd.metrics.ground_truth import GroundTruth, as_ground_truth
from keras_hkd.metrics.meeting import warn_of_other_categories

_STATS = (
    "AP",
    "AP50",
    "AP75",
    "AP_small",
    "AP_medium",
    "AP_large",
    "AR1",
    "AR10",
    "AR100",
    "AR_small",
    "AR_medium",
    "AR_large",
)


def coco_average_precision(
    ground_truth: Any,
    detections: Any,
    *,
    category_ids: Iterable[int] | None = None,
    use_categories: bool = True,
) -> dict[str, float]:
    """Compute the average precision and recall of boxes as COCO defines them, by pycocotools.

    `AP` is the area under precision over recall at 101 recall points, averaged over IoU thresholds
    0.50, 0.55, ..., 0.95 and categories; `AP50` and `AP75` are at one threshold; `AR100` is the
    recall, averaged over IoU thresholds, with 100 detections per image. "small" is an area below
    32 x 32 pixels, "large" above 96 x 96.

    Args:
        ground_truth: see `as_ground_truth`. Crowd regions match any number of detections. As in
            pycocotools a COCO file's `ignore` flags do not count, only `iscrowd`. Unlike in
            pycocotools, an annotation with the id 0 counts like any other.
        detections: see `as_detections`.
        category_ids: the categories to average over; all of the ground truth's if None.
        use_categories: False to compare boxes regardless of their category.

    Returns:
        dict of `AP`, `AP50`, `AP75`, `AP_small`, `AP_medium`, `AP_large`, `AR1`, `AR10`, `AR100`,
        `AR_small`, `AR_medium`, `AR_large`, fractions; nan if the ground truth has no such object
        (pycocotools gives -1).

    Raises:
        ValueError: if a record is bad, or a category is not one of the ground truth's.

    Example:

    >>> truth = [{"image_id": 1, "boxes": [[0, 0, 40, 100]]}]
    >>> found = [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 40, 80], "score": 0.9}]
    >>> scores = coco_average_precision(truth, found)
    >>> round(scores["AP"], 3), round(scores["AP75"], 3), round(scores["AP_small"], 3)
    (0.7, 1.0, nan)

    Reference:
        T.-Y. Lin et al., Microsoft COCO: Common Objects in Context, ECCV 2014.
    """
    truth = as_ground_truth(ground_truth)
    found = as_detections(detections, truth)
    known = sorted(truth.category_names or set(truth.category_ids.tolist()))
    wanted = known if category_ids is None else [int(i) for i in category_ids]
    if not set(wanted) <= set(known):
        raise InvalidValueError(
            f"`category_ids` must be among the ground truth's categories {known}. "
            f"Received: {category_ids}"
        )
    if not truth.num_images or not wanted:
        return dict.fromkeys(_STATS, math.nan)
    if use_categories:
        warn_of_other_categories(truth, found, wanted)
    else:  # pycocotools would still drop detections of other categories
        found = found.of_category(wanted[0], ~np.isin(found.category_ids, wanted))
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(_coco(truth, known), _coco_results(truth, found, known), "bbox")
        evaluation.params.catIds = wanted
        evaluation.params.useCats = int(use_categories)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    stats = [math.nan if value == -1 else float(value) for value in evaluation.stats]
    return dict(zip(_STATS, stats, strict=True))


def _coco(truth: GroundTruth, categories: list[int]) -> COCO:
    columns = (
        range(1, len(truth.boxes) + 1),  # pycocotools takes an id of 0 for `no match`
        truth.image_index.tolist(),
        truth.category_ids.tolist(),
        truth.boxes.tolist(),
        truth.areas.tolist(),
        truth.crowd.astype(int).tolist(),
    )
    annotations = [
        {"id": i, "image_id": image, "category_id": c, "bbox": box, "area": area, "iscrowd": crowd}
        for i, image, c, box, area, crowd in zip(*columns, strict=True)
    ]
    return _indexed(truth, categories, annotations)


def _coco_results(truth: GroundTruth, found: Detections, categories: list[int]) -> COCO:
    columns = (
        found.image_index.tolist(),
        found.category_ids.tolist(),
        found.boxes.tolist(),
        found.scores.tolist(),
    )
    annotations = [
        {
            "id": i,
            "image_id": image,
            "category_id": category,
            "bbox": box,
            "area": box[2] * box[3],
            "score": score,
            "iscrowd": 0,
        }
        for i, (image, category, box, score) in enumerate(zip(*columns, strict=True), start=1)
    ]
    return _indexed(truth, categories, annotations)


def _indexed(truth: GroundTruth, categories: list[int], annotations: list[dict[str, Any]]) -> COCO:
    """Build an indexed COCO object with the positions of images as their ids.

    So pycocotools sorts images as the ground truth does.
    """
    coco = COCO()
    coco.dataset = {
        "images": [{"id": position} for position in range(truth.num_images)],
        "categories": [{"id": category} for category in categories],
        "annotations": annotations,
    }
    coco.createIndex()
    return coco
