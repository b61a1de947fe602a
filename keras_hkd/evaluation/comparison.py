"""Compares two detectors on the same images: scores, single boxes and costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from keras_hkd.boxes import convert, pairwise_iou
from keras_hkd.data.dataset import Dataset
from keras_hkd.evaluation.detector_scores import score_predictions
from keras_hkd.evaluation.latency import measure_latency_ms
from keras_hkd.evaluation.prediction import predict_dataset
from keras_hkd.inference.prediction import Predictor

MATCH_IOU = 0.5
_SCORES = ("AP", "AP50", "AP75", "AR100", "MR2")


def compare_detectors(
    detector_a: Predictor,
    detector_b: Predictor,
    dataset: Dataset,
    image_size: tuple[int, int] | None = None,
    batch_size: int = 16,
    score_threshold: float = 0.3,
    repeats: int = 10,
) -> dict:
    """Measure two detectors side by side, such as a student and the int8 file made of it.

    Args:
        detector_a: the reference, see `predict_dataset`.
        detector_b: what is compared with it.
        dataset: labelled images, a `keras_hkd.data.Dataset`.
        image_size: `(height, width)` in pixels for both; that of `detector_b` if None, since a
            file has one only.
        batch_size: images at a time.
        score_threshold: differences are taken over the detections of `detector_a` from this score
            on, each with the detection of `detector_b` that it overlaps most, by 0.5 at least.
        repeats: timed predictions of one image; 0 leaves time out.

    Returns:
        dict of `a` and `b`, dicts of AP, AP50, AP75, AR100, MR2 and `latency_ms`; and
        `differences`, see `detection_differences`; and `num_images`.

    Raises:
        ValueError: see `predict_dataset`.
    """
    size = image_size or getattr(detector_b, "image_size", None)
    found: list[list[dict]] = []
    table: dict[str, Any] = {}
    for key, detector in (("a", detector_a), ("b", detector_b)):
        results = predict_dataset(detector, dataset, size, batch_size)
        scores = score_predictions(dataset, results)
        table[key] = {name: scores[name] for name in _SCORES}
        found.append(results)
    if repeats:
        pair = {"a": detector_a, "b": detector_b}
        for key, latency_ms in measure_latency_ms(pair, size, repeats).items():
            table[key]["latency_ms"] = latency_ms
    table["differences"] = detection_differences(found[0], found[1], score_threshold)
    table["num_images"] = len(dataset)
    return table


def detection_differences(
    results_a: Iterable[Mapping[str, Any]],
    results_b: Iterable[Mapping[str, Any]],
    score_threshold: float = 0.3,
) -> dict:
    """Compare two lists of COCO results box by box.

    Args:
        results_a: the reference, what `predict_dataset` gave.
        results_b: what is compared with it.
        score_threshold: detections of `results_a` below it are left out.

    Returns:
        dict of `num_compared`; `num_missing`, those of them without a counterpart; `box_px_mean`
        and `box_px_max`, the largest shift of a side in pixels, over pairs; `score_mean` and
        `score_max`, the absolute difference of scores. nan where there is no pair.

    Example:

    >>> one = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 20], "score": 0.75}
    >>> other = {**one, "bbox": [0, 0, 10, 21], "score": 0.5}
    >>> differences = detection_differences([one], [other])
    >>> differences["box_px_max"], differences["score_max"], differences["num_missing"]
    (1.0, 0.25, 0)
    """
    groups = _by_image_and_class(results_b)
    shifts, score_gaps, missing = [], [], 0
    for key, ours in _by_image_and_class(results_a).items():
        ours = ours[ours[:, 4] >= score_threshold]
        theirs = groups.get(key, np.zeros((0, 5)))
        for box, other in _pairs(ours, theirs):
            if other is None:
                missing += 1
                continue
            shifts.append(float(np.abs(box[:4] - other[:4]).max()))
            score_gaps.append(float(abs(box[4] - other[4])))
    return {
        "num_compared": len(shifts) + missing,
        "num_missing": missing,
        "box_px_mean": _reduced(np.mean, shifts),
        "box_px_max": _reduced(np.max, shifts),
        "score_mean": _reduced(np.mean, score_gaps),
        "score_max": _reduced(np.max, score_gaps),
    }


def _by_image_and_class(results: Iterable[Mapping[str, Any]]) -> dict[tuple[Any, Any], np.ndarray]:
    groups: dict[tuple[Any, Any], list[list[float]]] = {}
    for one in results:
        row = [*one["bbox"], one["score"]]
        groups.setdefault((one["image_id"], one["category_id"]), []).append(row)
    arrays = {}
    for key, rows in groups.items():
        array = np.array(sorted(rows, key=lambda row: -row[4]), np.float64)
        array[:, :4] = convert(array[:, :4], "xywh", "xyxy")
        arrays[key] = array
    return arrays


def _pairs(ours: np.ndarray, theirs: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Pair each of ours, best first, with the free one of theirs that it overlaps most, or None."""
    overlaps = pairwise_iou(ours[:, :4], theirs[:, :4])
    free = np.ones(len(theirs), bool)
    for row, box in enumerate(ours):
        candidates = np.where(free, overlaps[row], -1.0)
        best = int(candidates.argmax()) if len(theirs) else -1
        if best < 0 or candidates[best] < MATCH_IOU:
            yield box, None
            continue
        free[best] = False
        yield box, theirs[best]


def _reduced(function: Callable[[Sequence[float]], Any], values: Sequence[float]) -> float:
    return float(function(values)) if values else float("nan")
