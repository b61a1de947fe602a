"""Miss rate over false positives per image, and its log-average, MR-2."""

from __future__ import annotations

import dataclasses
import math
import warnings
from typing import Any

import numpy as np

from keras_hkd.messages import stack_level_of_caller
from keras_hkd.metrics.detections import Detections, as_detections
from keras_hkd.metrics.ground_truth import GroundTruth, as_ground_truth, person_categories
from keras_hkd.metrics.kaist import is_day
from keras_hkd.metrics.matching import Overlaps, rank_order, ranks_within_image
from keras_hkd.metrics.meeting import warn_of_other_categories
from keras_hkd.metrics.protocols import Protocol, get_protocol
from keras_hkd.metrics.subsets import Subset


class FewImagesWarning(UserWarning):
    """Warns of fewer than 100 images: one false positive is more than 0.01 per image."""


@dataclasses.dataclass(frozen=True, eq=False)
class MissRateCurve:
    """The miss rate over false positives per image, one point per detection that counts.

    Args:
        false_positives_per_image: `(n,)`, ascending.
        miss_rates: `(n,)`, descending, in [0, 1].
        scores: `(n,)`, descending: the score threshold of each point.
        references: false positives per image at which the protocol samples the curve.
        reference_miss_rates: miss rate at each of them.
        num_people: number of people who count, found or not; 0 if `log_average` is nan.
        num_images: number of images, with or without people.
        log_average: MR-2, in [0, 1]; nan if nobody counts.
    """

    false_positives_per_image: np.ndarray
    miss_rates: np.ndarray
    scores: np.ndarray
    references: np.ndarray
    reference_miss_rates: np.ndarray
    num_people: int
    num_images: int
    log_average: float


def log_average_miss_rate(
    ground_truth: Any,
    detections: Any,
    protocol: str | Protocol = "citypersons",
    subset: str | Subset = "reasonable",
    category_id: int | None = None,
) -> float:
    """Compute the log-average miss rate, MR-2, of pedestrian detection; lower is better.

    `MR-2 = exp(mean over the protocol's nine false positives per image of log(miss rate))`.

    At a reference the miss rate is that of the last detection whose false positives per image are
    not above it. With fewer than 100 images a single false positive exceeds 0.01 per image; if the
    best detection is one, the official codes take the lowest miss rate of the curve there. If
    nothing is missed at some reference, MR-2 is 0 (Caltech: the miss rate is at least 1e-10).

    Args:
        ground_truth: see `as_ground_truth`. Visibility is 1 if visible boxes are not known.
        detections: see `as_detections`.
        protocol: "citypersons", "kaist", "caltech" (unverified) or a `Protocol`.
        subset: one of the protocol's subsets by name, or a `Subset`. KAIST: "all", "day", "night".
        category_id: id of the category of people; boxes and detections of others are left out. If
            None, the categories named person, pedestrian, people or human; 1 if none has a name.

    Returns:
        A fraction in [0, 1]; nan if nobody counts.

    Raises:
        ValueError: if the protocol or the subset is unknown, or a record is bad.

    Example:

    >>> truth = [{"image_id": i, "boxes": [[0, 0, 40, 100]]} for i in range(100)]
    >>> found = [{"image_id": i, "bbox": [0, 0, 40, 100], "score": 0.9} for i in range(75)]
    >>> round(log_average_miss_rate(truth, found), 6)
    0.25
    """
    return miss_rate_curve(ground_truth, detections, protocol, subset, category_id).log_average


def miss_rates(
    ground_truth: Any,
    detections: Any,
    protocol: str | Protocol = "citypersons",
    category_id: int | None = None,
) -> dict[str, float]:
    """Compute the log-average miss rate of each subset of a protocol.

    Args:
        ground_truth: see `as_ground_truth`.
        detections: see `as_detections`.
        protocol: "citypersons", "kaist", "caltech" (unverified) or a `Protocol`.
        category_id: see `log_average_miss_rate`.

    Returns:
        dict from the name of a subset to its `log_average_miss_rate`.

    Example:

    >>> truth = [{"image_id": i, "boxes": [[0, 0, 40, 100]]} for i in range(100)]
    >>> sorted(miss_rates(truth, []))
    ['all', 'heavy_occlusion', 'reasonable', 'reasonable_small']
    """
    protocol = get_protocol(protocol)
    scorer = _Scorer(ground_truth, detections, protocol, category_id)
    return {subset.name: scorer.curve(subset).log_average for subset in protocol.subsets}


def miss_rate_curve(
    ground_truth: Any,
    detections: Any,
    protocol: str | Protocol = "citypersons",
    subset: str | Subset = "reasonable",
    category_id: int | None = None,
) -> MissRateCurve:
    """Compute the curve of which `log_average_miss_rate` is the average.

    Args:
        ground_truth: see `log_average_miss_rate`.
        detections: see `log_average_miss_rate`.
        protocol: see `log_average_miss_rate`.
        subset: see `log_average_miss_rate`.
        category_id: see `log_average_miss_rate`.

    Returns:
        A `MissRateCurve`.

    Example:

    >>> truth = [{"image_id": i, "boxes": [[0, 0, 40, 100]]} for i in range(100)]
    >>> found = [{"image_id": 0, "bbox": [0, 0, 40, 100], "score": 0.9}]
    >>> miss_rate_curve(truth, found).miss_rates.tolist()
    [0.99]
    """
    protocol = get_protocol(protocol)
    subset = protocol.subset(subset)
    return _Scorer(ground_truth, detections, protocol, category_id).curve(subset)


class _Scorer:
    """Ground truth and detections of one category, prepared for the subsets of a protocol."""

    def __init__(
        self, ground_truth: Any, detections: Any, protocol: Protocol, category_id: int | None
    ) -> None:
        truth = as_ground_truth(ground_truth)
        found = as_detections(detections, truth)
        wanted = person_categories(truth) if category_id is None else (category_id,)
        warn_of_other_categories(truth, found, wanted)
        found = found.select(np.isin(found.category_ids, wanted))
        found = found.select(rank_order(found))
        if protocol.max_detections is not None:
            ranks = ranks_within_image(found.image_index)
            found = found.select(ranks < protocol.max_detections)
        if protocol.aspect_ratio is not None:
            found = dataclasses.replace(found, boxes=_reshaped(found.boxes, protocol.aspect_ratio))
        self.protocol = protocol
        self.truth: GroundTruth = truth.select(np.isin(truth.category_ids, wanted))
        self.found: Detections = found
        self._overlaps: Overlaps | None = None
        _warn_of_few_images(truth.num_images, protocol)

    def curve(self, subset: Subset) -> MissRateCurve:
        """Compute the curve of one subset."""
        protocol, truth, found = self.protocol, self.truth, self.found
        ignored = subset.ignored(truth, protocol.image_bounds, protocol.include_max_height)
        in_use = self._images(subset)
        judged = in_use[found.image_index]
        if protocol.height_tolerance is not None:
            judged &= subset.keeps_height(found.boxes[:, 3], protocol.height_tolerance)
        result = self._overlaps_for(ignored).match(ignored, protocol.iou_threshold, judged)
        hit = result.true_positive
        if protocol.zero_id_is_no_match and truth.num_images == protocol.num_test_images:
            zero_rows = np.flatnonzero(truth.annotation_ids == 0)
            hit = hit & ~np.isin(result.matched, zero_rows)
        people = ~ignored & in_use[truth.image_index]
        if protocol.skips_images_without_detections:
            has_detections = np.zeros(truth.num_images, bool)
            has_detections[found.image_index] = True
            people &= has_detections[truth.image_index]
        counts = judged & ~result.ignored
        return _curve(
            hit[counts], found.scores[counts], int(people.sum()), int(in_use.sum()), protocol
        )

    def _images(self, subset: Subset) -> np.ndarray:
        if subset.images == "all":
            return np.ones(self.truth.num_images, bool)
        day = is_day(self.truth)
        return day if subset.images == "day" else ~day

    def _overlaps_for(self, ignored: np.ndarray) -> Overlaps:
        ratio = self.protocol.aspect_ratio
        if ratio is not None:  # people are reshaped, ignored boxes are not: subsets differ
            boxes = np.where(ignored[:, None], self.truth.boxes, _reshaped(self.truth.boxes, ratio))
            return Overlaps.between(dataclasses.replace(self.truth, boxes=boxes), self.found)
        if self._overlaps is None:
            self._overlaps = Overlaps.between(self.truth, self.found)
        return self._overlaps


def _curve(
    hit: np.ndarray, scores: np.ndarray, num_people: int, num_images: int, protocol: Protocol
) -> MissRateCurve:
    order = np.argsort(-scores, kind="stable")
    hit, scores = hit[order], scores[order]
    references = np.array(protocol.references)
    if not num_people or not num_images:
        nothing = np.full(len(references), math.nan)
        empty = np.zeros(0)
        return MissRateCurve(empty, empty, empty, references, nothing, 0, num_images, math.nan)
    per_image = np.cumsum(~hit) / num_images
    recall = np.cumsum(hit) / num_people
    last = np.searchsorted(per_image, references, side="right") - 1
    if len(recall):
        at_references = 1 - recall[last]
        if protocol.below_the_curve == "one":
            at_references = np.where(last < 0, 1.0, at_references)
    else:
        at_references = np.ones(len(references))
    with np.errstate(divide="ignore"):  # nothing missed: log 0, and MR-2 becomes 0
        logs = np.log(np.maximum(at_references, protocol.min_miss_rate))
    return MissRateCurve(
        false_positives_per_image=per_image,
        miss_rates=1 - recall,
        scores=scores,
        references=references,
        reference_miss_rates=at_references,
        num_people=num_people,
        num_images=num_images,
        log_average=float(np.exp(np.mean(logs))),
    )


def _reshaped(boxes: np.ndarray, aspect_ratio: float) -> np.ndarray:
    """Change boxes (left, top, width, height) to a width / height; keep centre and height."""
    left, top, width, height = boxes.T
    new_width = height * aspect_ratio
    return np.stack([left + (width - new_width) / 2, top, new_width, height], axis=1)


def _warn_of_few_images(num_images: int, protocol: Protocol) -> None:
    if num_images * protocol.references[0] >= 1:
        return
    rule = {
        "lowest": "if the best detection is a false positive, the lowest miss rate of all is read "
        "there, as the official code does, which flatters the detector",
        "one": "if the best detection is a false positive, a miss rate of 1 is read there",
    }[protocol.below_the_curve]
    warnings.warn(
        f"MR-2 over {num_images} images: one false positive is already "
        f"{1 / max(num_images, 1):.3g} per image, above the lowest reference "
        f"{protocol.references[0]:g}; {rule}. Use 100 images or more to compare detectors.",
        FewImagesWarning,
        stacklevel=stack_level_of_caller(),
    )
