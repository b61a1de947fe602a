"""Greedy matching of detections to people, for all images at once, in NumPy."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from keras_hkd.metrics.detections import Detections, as_detections
from keras_hkd.metrics.ground_truth import GroundTruth, as_ground_truth


@dataclasses.dataclass(frozen=True, eq=False)
class MatchResult:
    """The result of matching n detections.

    Args:
        matched: `(n,)` row of the matched ground-truth box, -1 if there is none.
        ignored: `(n,)` bool, unmatched detections that lie on an ignored box.
    """

    matched: np.ndarray
    ignored: np.ndarray

    @property
    def true_positive(self) -> np.ndarray:
        """`(n,)` bool: detections that match a person."""
        return self.matched >= 0

    @property
    def false_positive(self) -> np.ndarray:
        """`(n,)` bool: detections that match neither a person nor an ignored box."""
        return ~self.true_positive & ~self.ignored


def match_detections(
    ground_truth: Any,
    detections: Any,
    iou_threshold: float = 0.5,
    ignored: np.ndarray | None = None,
) -> MatchResult:
    """Match detections to ground truth as the pedestrian benchmarks do.

    In order of score each detection is matched to the unmatched box, of those not ignored, of
    highest IoU, if `IoU >= iou_threshold`. Otherwise it is ignored if some ignored box covers at
    least that share of its area; an ignored box matches any number of detections.

    Args:
        ground_truth: any form that `as_ground_truth` takes. Categories do not matter.
        detections: any form that `as_detections` takes; n detections.
        iou_threshold: least IoU of a match, in (0, 1].
        ignored: `(num_boxes,)` bool, boxes to ignore; the ground truth's own flags if None.

    Returns:
        A `MatchResult`, in the order of `detections`.

    Example:

    >>> truth = [{"image_id": 1, "boxes": [[0, 0, 10, 20], [50, 0, 60, 20]],
    ...           "ignore": [False, True]}]
    >>> boxes = [[0, 0, 10, 18], [0, 0, 10, 19], [51, 0, 59, 9]]
    >>> found = match_detections(truth, {"image_ids": [1, 1, 1], "boxes": boxes,
    ...                                  "scores": [0.9, 0.8, 0.7]})
    >>> found.matched.tolist(), found.false_positive.tolist(), found.ignored.tolist()
    ([0, -1, -1], [False, True, False], [False, False, True])
    """
    truth = as_ground_truth(ground_truth)
    found = as_detections(detections, truth)
    flags = truth.ignore if ignored is None else np.asarray(ignored, dtype=bool)
    order = rank_order(found)
    ranked = Overlaps.between(truth, found.select(order)).match(flags, iou_threshold)
    matched, is_ignored = np.empty(len(found), np.int64), np.empty(len(found), bool)
    matched[order], is_ignored[order] = ranked.matched, ranked.ignored
    return MatchResult(matched, is_ignored)


def rank_order(detections: Detections) -> np.ndarray:
    """Return the positions that sort detections by image, then score, highest first; stable."""
    return np.lexsort((-detections.scores, detections.image_index))


def ranks_within_image(image_index: np.ndarray) -> np.ndarray:
    """Number the detections within each run of equal image indices: 0, 1, 2, ...

    Example:

    >>> ranks_within_image(np.array([0, 0, 4, 4, 4])).tolist()
    [0, 1, 0, 1, 2]
    """
    return np.arange(len(image_index)) - np.searchsorted(image_index, image_index)


@dataclasses.dataclass(frozen=True, eq=False)
class Overlaps:
    """All overlapping pairs of a detection and a ground-truth box of one image.

    They are computed once and matched once per subset.

    Args:
        num_detections: n, the number of detections, which are sorted by `rank_order`.
        num_boxes: m, the number of ground-truth boxes.
        detection: `(p,)` row of the detection of each pair.
        box: `(p,)` row of the ground-truth box of each pair.
        iou: `(p,)` intersection over union.
        share: `(p,)` intersection over the detection's area.
    """

    num_detections: int
    num_boxes: int
    detection: np.ndarray
    box: np.ndarray
    iou: np.ndarray
    share: np.ndarray

    @classmethod
    def between(cls, ground_truth: GroundTruth, detections: Detections) -> Overlaps:
        """Find all overlapping pairs.

        Args:
            ground_truth: m boxes.
            detections: n detections, sorted by `rank_order`.
        """
        detection, box = _pairs_of_one_image(ground_truth, detections)
        # The same operations in the same order as the benchmarks' codes, on left, top, width,
        # height: after a conversion to corners and back an IoU of exactly 0.5 might be below it.
        a, b = detections.boxes[detection].T, ground_truth.boxes[box].T
        width = np.minimum(a[0] + a[2], b[0] + b[2]) - np.maximum(a[0], b[0])
        height = np.minimum(a[1] + a[3], b[1] + b[3]) - np.maximum(a[1], b[1])
        touch = (width > 0) & (height > 0)
        detection, box, a, b = detection[touch], box[touch], a[:, touch], b[:, touch]
        intersection = width[touch] * height[touch]
        area = a[2] * a[3]
        iou = intersection / (area + b[2] * b[3] - intersection)
        share = intersection / area
        return cls(len(detections), len(ground_truth.boxes), detection, box, iou, share)

    def match(
        self, ignored: np.ndarray, iou_threshold: float, judged: np.ndarray | None = None
    ) -> MatchResult:
        """Match greedily; see `match_detections`.

        Args:
            ignored: `(m,)` bool, boxes to ignore.
            iou_threshold: least IoU of a match, in (0, 1].
            judged: `(n,)` bool, detections to match; all if None. The others are neither matched
                nor ignored in the result.
        """
        threshold = min(iou_threshold, 1 - 1e-10)
        on_ignored = ignored[self.box]
        usable = np.ones(len(self.box), bool) if judged is None else judged[self.detection]
        candidate = usable & ~on_ignored & (self.iou >= threshold)
        matched = self._serve_in_order(np.flatnonzero(candidate))
        covered = np.zeros(self.num_detections, bool)
        covered[self.detection[usable & on_ignored & (self.share >= threshold)]] = True
        return MatchResult(matched, covered & (matched < 0))

    def _serve_in_order(self, pairs: np.ndarray) -> np.ndarray:
        """Assign boxes to detections, highest score first: the row of each one's box, or -1.

        This is the deferred acceptance algorithm. All detections ask for their best box at once; a
        box holds the one of highest score, and the others ask for their next. The result equals
        that of a loop in order of score, in a few rounds in place of one step per detection.
        """
        # Of boxes of equal IoU the reference codes take the last.
        pairs = pairs[np.lexsort((-self.box[pairs], -self.iou[pairs], self.detection[pairs]))]
        wish_of, wish = self.detection[pairs], self.box[pairs]
        rows = np.arange(self.num_detections)
        next_wish = np.searchsorted(wish_of, rows, side="left")
        end = np.searchsorted(wish_of, rows, side="right")
        nobody = self.num_detections
        holder = np.full(self.num_boxes, nobody)
        matched = np.full(self.num_detections, -1)
        asking = np.flatnonzero(next_wish < end)
        while len(asking):
            wanted = wish[next_wish[asking]]
            matched[asking] = wanted
            former = holder[wanted]
            np.minimum.at(holder, wanted, asking)
            rivals = np.unique(np.concatenate([asking, former[former < nobody]]))
            turned_down = rivals[holder[matched[rivals]] != rivals]
            matched[turned_down] = -1
            next_wish[turned_down] += 1
            asking = turned_down[next_wish[turned_down] < end[turned_down]]
        return matched


def _pairs_of_one_image(
    ground_truth: GroundTruth, detections: Detections
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows `(detection, box)` of all pairs within one image."""
    by_image = np.argsort(ground_truth.image_index, kind="stable")
    sorted_index = ground_truth.image_index[by_image]
    first = np.searchsorted(sorted_index, detections.image_index, side="left")
    counts = np.searchsorted(sorted_index, detections.image_index, side="right") - first
    detection = np.repeat(np.arange(len(detections)), counts)
    within = np.arange(len(detection)) - np.repeat(np.cumsum(counts) - counts, counts)
    return detection, by_image[np.repeat(first, counts) + within]
