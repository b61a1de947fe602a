"""Precision, recall, miss rate and calibration of detections of people, at an IoU of 0.5."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from keras_hkd import metrics
from keras_hkd.data.dataset import Dataset
from keras_hkd.metrics.ground_truth import scored_categories

IOU = 0.5
HEIGHTS_PX = ((0, 30), (30, 80), (80, 160), (160, math.inf))
"""Ranges of heights of people in pixels of the photograph."""
VISIBILITIES = ((0.9, 1.0), (0.65, 0.9), (0.0, 0.65))
"""Ranges of the visible share of people: bare, partly and heavily occluded."""
_RECALLS = np.linspace(0, 1, 101)


@dataclasses.dataclass(frozen=True, eq=False)
class People:
    """The people of a dataset and what a detector found, matched by overlap.

    Attributes:
        truth: `GroundTruth` of people only.
        found: `Detections` of people only, best first.
        matched: `(n,)` row of the person that each detection finds, -1 if none.
        counts: `(n,)` bool: detections that count; the others lie on ignore regions.
    """

    truth: Any
    found: Any
    matched: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, dataset: Dataset, results: Iterable[Mapping[str, Any]]) -> People:
        """Match results with a dataset.

        Args:
            dataset: labelled images.
            results: what `keras_hkd.evaluation.predict_dataset` gave.
        """
        truth = metrics.as_ground_truth(dataset)
        found = metrics.as_detections(list(results), truth)
        wanted = scored_categories(truth)
        truth = truth.select(np.isin(truth.category_ids, wanted))
        found = found.select(np.isin(found.category_ids, wanted))
        found = found.select(np.argsort(-found.scores, kind="stable"))
        result = metrics.match_detections(truth, found, IOU)
        return cls(truth, found, result.matched, ~result.ignored)

    @property
    def num_people(self) -> int:
        """People who count, found or not."""
        return int((~self.truth.ignore).sum())

    def precision_recall(self) -> tuple[np.ndarray, np.ndarray]:
        """Return recall and precision after every detection that counts, best first."""
        hit = self.matched[self.counts] >= 0
        true = np.cumsum(hit)
        return true / max(self.num_people, 1), true / np.arange(1, len(hit) + 1)

    def threshold_at(self, false_per_image: float) -> float:
        """Return the lowest score at which at most so many false alarms come per image.

        Args:
            false_per_image: false positives per image.

        Returns:
            The score; infinity if the surest detections are too many false alarms already.
        """
        false = (self.matched < 0) & self.counts
        allowed = np.cumsum(false) <= false_per_image * self.truth.num_images + 1e-9
        return float(self.found.scores[allowed][-1]) if allowed.any() else math.inf

    def found_from(self, score: float) -> np.ndarray:
        """Return which people a detection of at least a score finds, `(people,)` bool."""
        rows = self.matched[(self.matched >= 0) & (self.found.scores >= score)]
        people = np.zeros(len(self.truth.boxes), bool)
        people[rows] = True
        return people

    def average_precision(self, counts: np.ndarray, heights: tuple[float, float]) -> float:
        """Compute AP at an IoU of 0.5 over some of the people, by COCO's 101 points.

        Args:
            counts: `(people,)` bool: who counts; the others are neither missed nor found.
            heights: detections that find nobody are false only within these heights in pixels.

        Returns:
            A fraction; nan if nobody counts.
        """
        ignored = self.truth.ignore | ~counts
        people = int((~ignored).sum())
        if not people:
            return math.nan
        result = metrics.match_detections(self.truth, self.found, IOU, ignored)
        tall = self.found.boxes[:, 3]
        within = (tall >= heights[0]) & (tall < heights[1])
        judged = result.true_positive | (result.false_positive & within)
        true = np.cumsum(result.true_positive[judged])
        recall, precision = true / people, true / np.arange(1, len(true) + 1)
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        places = np.searchsorted(recall, _RECALLS, side="left")
        values = np.append(envelope, 0.0)[np.minimum(places, len(envelope))]
        return float(values.mean())

    def by_height(self) -> list[tuple[str, int, float]]:
        """Return for each range of heights its name, how many people, and AP at an IoU of 0.5."""
        rows = []
        for low, high in HEIGHTS_PX:
            counts = (self.truth.heights >= low) & (self.truth.heights < high)
            name = f"{low:g} to {high:g} px" if high < math.inf else f"from {low:g} px"
            name = f"under {high:g} px" if not low else name
            number = int((counts & ~self.truth.ignore).sum())
            rows.append((name, number, self.average_precision(counts, (low, high))))
        return rows

    def by_visibility(self) -> list[tuple[str, int, float]]:
        """Return for each range of visible shares its name, how many people, and AP."""
        rows = []
        for low, high in VISIBILITIES:
            below = self.truth.visibility <= high if high == 1.0 else self.truth.visibility < high
            counts = (self.truth.visibility >= low) & below
            number = int((counts & ~self.truth.ignore).sum())
            name = f"{100 * low:.0f} to {100 * high:.0f} % visible"
            rows.append((name, number, self.average_precision(counts, (0.0, math.inf))))
        return rows


@dataclasses.dataclass(frozen=True, eq=False)
class Reliability:
    """How often detections of a score are right.

    Attributes:
        scores: mean score of each bin that holds detections.
        precisions: share of them that find somebody.
        numbers: how many they are.
        error: the expected calibration error, `sum_b n_b / n |precision_b - score_b|`; nan without
            a detection.
    """

    scores: np.ndarray
    precisions: np.ndarray
    numbers: np.ndarray
    error: float


def reliability(of: Iterable[People], num_bins: int = 10, min_score: float = 0.05) -> Reliability:
    """Compare scores with the share of detections that are right.

    Args:
        of: detections, such as of students of several seeds, which are put together.
        num_bins: bins of equal width over [0, 1].
        min_score: detections below it are left out: there are thousands that nobody uses.
    """
    scores, hits = [np.zeros(0)], [np.zeros(0, bool)]
    for one in of:
        use = one.counts & (one.found.scores >= min_score)
        scores.append(one.found.scores[use])
        hits.append(one.matched[use] >= 0)
    score, hit = np.concatenate(scores), np.concatenate(hits)
    bins = np.minimum((score * num_bins).astype(int), num_bins - 1)
    numbers = np.bincount(bins, minlength=num_bins)
    filled = numbers > 0
    means, shares = (
        np.bincount(bins, values, num_bins)[filled] / numbers[filled] for values in (score, hit)
    )
    numbers = numbers[filled]
    gaps = float((numbers * np.abs(means - shares)).sum())
    error = gaps / numbers.sum() if len(score) else math.nan
    return Reliability(means, shares, numbers, error)


def miss_rate(dataset: Dataset, results: Iterable[Mapping[str, Any]]) -> metrics.MissRateCurve:
    """Compute the miss rate over false positives per image, as `score_predictions` does MR-2.

    Args:
        dataset: labelled images.
        results: what `keras_hkd.evaluation.predict_dataset` gave.
    """
    truth = metrics.as_ground_truth(dataset)
    wanted = scored_categories(truth)
    category = wanted[0] if len(wanted) == 1 else None
    with warnings.catch_warnings():
        # The report says it beside the curve.
        warnings.simplefilter("ignore", metrics.FewImagesWarning)
        found = metrics.as_detections(list(results), truth)
        if not wanted:  # several classes without people: a curve of nobody
            truth, found = (one.select(np.zeros(len(one.boxes), bool)) for one in (truth, found))
            category = 1
        return metrics.miss_rate_curve(truth, found, "citypersons", "reasonable", category)
