"""Decodes raw heads into detections in NumPy, for `TFLiteDetector`."""

from __future__ import annotations

import dataclasses

import numpy as np

from keras_hkd import checks
from keras_hkd.boxes import clip, pairwise_iou
from keras_hkd.boxes.coding import joint_logits
from keras_hkd.boxes.grid import Grid

NUM_CANDIDATES = 400


@dataclasses.dataclass(frozen=True)
class Suppression:
    """Settings of the non-maximum suppression.

    Args:
        max_detections: largest number of detections of an image.
        score_threshold: detections that score at most this are dropped, in [0, 1).
        iou_threshold: overlap above which the lower score is dropped, in (0, 1].

    Raises:
        ValueError: a number is outside its range.

    Example:

    >>> Suppression(max_detections=10).iou_threshold
    0.6
    """

    max_detections: int = 100
    score_threshold: float = 0.01
    iou_threshold: float = 0.6

    def __post_init__(self) -> None:
        checks.whole("max_detections", self.max_detections, low=1)
        checks.in_range("score_threshold", self.score_threshold, high=1.0, open_high=True)
        checks.in_range("iou_threshold", self.iou_threshold, high=1.0, open_low=True)


def detections(
    class_logits: np.ndarray,
    box_outputs: np.ndarray,
    grid: Grid,
    suppression: Suppression,
    objectness: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Decode the detections of one image and suppress overlapping ones, class by class.

    The same rule as `keras_hkd.boxes.suppression`, in NumPy.

    Args:
        class_logits: `(anchors, classes)`.
        box_outputs: `(anchors, coding.num_values)`.
        grid: the anchors and their coding.
        suppression: thresholds and the number of detections.
        objectness: `(anchors, 1)` logits, for families that predict them.

    Returns:
        dict of `boxes (n, 4)` xyxy pixels, `classes (n,)` and `confidence (n,)`, best first.
    """
    num_classes = class_logits.shape[-1]
    if objectness is not None:
        class_logits = joint_logits(class_logits, objectness)
    flat = np.asarray(class_logits, np.float32).reshape(-1)
    best = np.argsort(-flat, kind="stable")[:NUM_CANDIDATES]
    scores = 1.0 / (1.0 + np.exp(-flat[best].astype(np.float64)))
    best, scores = (
        best[scores > suppression.score_threshold],
        scores[scores > suppression.score_threshold],
    )
    anchors, classes = best // num_classes, best % num_classes
    boxes = grid.decode(np.asarray(box_outputs, np.float64)[anchors], anchors)
    boxes = clip(boxes, grid.image_size)
    suppresses = pairwise_iou(boxes, boxes) > suppression.iou_threshold
    suppresses &= classes[:, None] == classes[None, :]
    keep = np.ones(len(best), bool)
    for index in range(len(best)):
        if keep[index]:
            keep[index + 1 :] &= ~suppresses[index, index + 1 :]
    kept = np.flatnonzero(keep)[: suppression.max_detections]
    return {"boxes": boxes[kept], "classes": classes[kept], "confidence": scores[kept]}
