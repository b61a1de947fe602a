"""Measures how good a detector is on a dataset."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from keras_hkd import metrics
from keras_hkd.data.dataset import Dataset
from keras_hkd.evaluation.model_cost import count_parameters
from keras_hkd.evaluation.prediction import predict_dataset
from keras_hkd.inference.prediction import Predictor
from keras_hkd.messages import stack_level_of_caller
from keras_hkd.metrics.ground_truth import person_categories, scored_categories
from keras_hkd.metrics.kaist import is_day

_COCO_KEYS = ("AP", "AP50", "AP75", "AR100")
_HIGH_THRESHOLD = 0.05


class ScoreThresholdWarning(UserWarning):
    """Warns of a detector whose score threshold cuts its curves off."""


def evaluate_detector(
    detector: Predictor,
    dataset: Dataset,
    image_size: tuple[int, int] | None = None,
    batch_size: int = 16,
    progress: bool = True,
    protocol: Any = None,
) -> dict:
    """Detect in every image of a dataset and score what was found.

    Args:
        detector: see `predict_dataset`.
        dataset: a `keras_hkd.data.Dataset`.
        image_size: `(height, width)` in pixels; the detector's own if None.
        batch_size: images at a time.
        progress: show a progress bar on the error stream if it is a terminal.
        protocol: "citypersons", "kaist" or "caltech", to add the miss rates of all its subsets.

    Returns:
        dict of fractions `AP`, `AP50`, `AP75`, `AR100` and `MR2`, and `num_images`, as
        `score_predictions` describes them; and `parameters`, where the detector can count them.

    Raises:
        ValueError: see `predict_dataset` and `check_protocol`.
    """
    check_protocol(dataset, protocol)
    warn_of_threshold(detector)
    results = predict_dataset(detector, dataset, image_size, batch_size, progress)
    scores = score_predictions(dataset, results, protocol)
    if hasattr(detector, "count_params"):
        scores["parameters"] = count_parameters(detector)
    return scores


def check_protocol(dataset: Dataset, protocol: Any = None) -> None:
    """Refuse a protocol that a dataset cannot be measured by, before anything is detected in it.

    Args:
        dataset: a `keras_hkd.data.Dataset`.
        protocol: as `score_predictions` takes it; None is fine for every dataset.

    Raises:
        ValueError: no protocol has that name, it tells day from night and the images do not, or
            none of several classes is people's.
    """
    if protocol is None:
        return
    truth = metrics.as_ground_truth(dataset)
    if not scored_categories(truth):
        person_categories(truth)  # says which there are
    if any(subset.images != "all" for subset in metrics.get_protocol(protocol).subsets):
        is_day(truth)


def warn_of_threshold(detector: Predictor) -> None:
    """Warn of a detector that leaves out so many of its detections that its curves break off.

    Args:
        detector: see `predict_dataset`.
    """
    threshold = getattr(detector, "score_threshold", None)
    if threshold is not None and threshold > _HIGH_THRESHOLD:
        warnings.warn(
            f"The detector leaves out what scores {threshold:g} or less: precision-recall and miss "
            "rate curves break off there, and AP, AR100 and MR2 are worse than it is. Set "
            "`score_threshold` to 0.01 or below; a .tflite file is exported with it.",
            ScoreThresholdWarning,
            stacklevel=stack_level_of_caller(),
        )


def score_predictions(
    dataset: Dataset, results: Iterable[Mapping[str, Any]], protocol: Any = None
) -> dict:
    """Score COCO results against a dataset.

    Args:
        dataset: a `keras_hkd.data.Dataset`.
        results: what `predict_dataset` gave.
        protocol: "citypersons", "kaist" or "caltech" for the miss rates of all of its subsets.

    Returns:
        dict of fractions `AP`, `AP50`, `AP75`, `AR100` (COCO's; ignore regions as crowds, unless a
        COCO file says `iscrowd` 0) and `MR2`: the log-average miss rate of the person class, or of
        the only class. MR2 counts people as CityPersons' subset "reasonable" does: of 50 pixels
        height or more, visible by 65 % or more. Where a dataset has no visible boxes, as with
        ordinary photographs, everybody counts as wholly visible. Also `num_images`, and if asked
        for `{protocol: {subset: fraction}}`. nan where nobody counts: of several classes without
        people, there is no MR2.

    Raises:
        ValueError: if a protocol is asked for, and none of several classes is people's.

    Example:

    >>> from keras_hkd.data.annotations import ImageAnnotation
    >>> from keras_hkd.data.dataset import Dataset
    >>> images = [ImageAnnotation("", i, 640, 480, [[0, 0, 40, 100]], [0]) for i in range(100)]
    >>> dataset = Dataset(images, ("person",), "by hand", "none")
    >>> found = [{"image_id": i, "category_id": 1, "bbox": [0, 0, 40, 100], "score": 0.9}
    ...          for i in range(75)]
    >>> scores = score_predictions(dataset, found)
    >>> round(scores["AR100"], 3), round(scores["MR2"], 3), scores["num_images"]
    (0.75, 0.25, 100)
    """
    truth = metrics.as_ground_truth(dataset)
    found = metrics.as_detections(results, truth)
    average_precision = metrics.coco_average_precision(truth, found)
    scores = {name: average_precision[name] for name in _COCO_KEYS}
    wanted = scored_categories(truth)
    category = wanted[0] if len(wanted) == 1 else None
    scores["MR2"] = math.nan
    if wanted:
        scores["MR2"] = metrics.log_average_miss_rate(
            truth, found, "citypersons", "reasonable", category
        )
    if protocol is not None:
        scores[str(protocol)] = metrics.miss_rates(truth, found, protocol, category)
    scores["num_images"] = truth.num_images
    return scores
