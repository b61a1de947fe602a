"""Greedy non-maximum suppression in `keras.ops`, with static shapes and no custom operation."""

from keras import ops

from keras_hkd.boxes.iou import pairwise_iou
from keras_hkd.tensors import Tensor


def non_max_suppression(
    boxes: Tensor,
    scores: Tensor,
    *,
    max_detections: int = 100,
    iou_threshold: float = 0.6,
    score_threshold: float = 0.0,
    num_candidates: int = 400,
) -> dict[str, Tensor]:
    """Keep the best box of each group of overlapping boxes of one class.

    The `num_candidates` best (box, class) pairs are visited in order of score. A pair is kept if no
    kept box of its class overlaps it by more than `iou_threshold`.

    Args:
        boxes: `(batch, n, 4)` xyxy pixels.
        scores: `(batch, n, num_classes)` in [0, 1].
        max_detections: number of rows of the result.
        iou_threshold: IoU above which the box of the lower score is dropped.
        score_threshold: pairs whose score is not above it are dropped.
        num_candidates: number of pairs that are visited.

    Returns:
        dict of `boxes (batch, max_detections, 4)`, `classes (batch, max_detections)` int32,
        `confidence (batch, max_detections)`, `num_detections (batch,)` int32, best first, padded
        with -1.

    Example:

    >>> boxes = [[[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 9.0, 8.0], [20.0, 0.0, 29.0, 9.0]]]
    >>> found = non_max_suppression(ops.array(boxes), ops.array([[[0.9], [0.8], [0.7]]]),
    ...                             max_detections=3)
    >>> int(found["num_detections"][0])
    2
    """
    num_classes = scores.shape[-1]
    num_pairs = scores.shape[1] * num_classes if scores.shape[1] is not None else None
    if num_pairs is not None:
        num_candidates = min(num_candidates, num_pairs)
    flat = ops.reshape(scores, (ops.shape(scores)[0], -1))
    candidate_scores, indices = ops.top_k(flat, num_candidates)
    classes = ops.cast(indices % num_classes, "int32")
    candidates = ops.take_along_axis(boxes, ops.expand_dims(indices // num_classes, -1), axis=1)
    keep = _greedy(candidates, classes, iou_threshold)
    keep = ops.where(candidate_scores > score_threshold, keep, 0.0)
    return _pack(
        candidates,
        classes,
        candidate_scores,
        keep,
        min(max_detections, num_candidates),
        max_detections,
    )


def _greedy(boxes: Tensor, classes: Tensor, iou_threshold: float) -> Tensor:
    """Select the candidates that survive, which are sorted by score: `(batch, n)`, 1.0 or 0.0.

    A candidate survives if no survivor before it overlaps it. Starting from "all survive", this
    rule is applied to all candidates at once until nothing changes. Each round settles at least one
    more candidate, so the result is that of the visit in order, in a few rounds instead of one per
    candidate.
    """
    num_candidates = boxes.shape[1]
    overlaps = pairwise_iou(boxes, boxes, xp=ops) > iou_threshold
    overlaps = overlaps & (classes[:, :, None] == classes[:, None, :])
    order = ops.arange(num_candidates)
    suppresses = ops.cast(overlaps & (order[:, None] < order[None, :]), boxes.dtype)
    suppresses = ops.stop_gradient(suppresses)

    def changed(before: Tensor, now: Tensor) -> Tensor:
        return ops.any(before != now)

    def judge(before: Tensor, now: Tensor) -> tuple[Tensor, Tensor]:
        hits = ops.matmul(now[:, None, :], suppresses)[:, 0]
        return now, ops.cast(hits < 0.5, boxes.dtype)

    everyone = ops.ones_like(suppresses[:, 0])
    return ops.while_loop(changed, judge, judge(everyone - 1.0, everyone))[1]


def _pack(
    boxes: Tensor, classes: Tensor, scores: Tensor, keep: Tensor, num_kept: int, max_detections: int
) -> dict[str, Tensor]:
    ranks, order = ops.top_k(ops.where(keep > 0, scores, -1.0), num_kept)
    valid = ranks >= 0
    boxes = ops.take_along_axis(boxes, order[..., None], axis=1)
    boxes = ops.where(valid[..., None], boxes, -1.0)
    classes = ops.where(valid, ops.take_along_axis(classes, order, axis=1), -1)
    padding = ((0, 0), (0, max_detections - num_kept))
    return {
        "boxes": ops.pad(boxes, (*padding, (0, 0)), constant_values=-1.0),
        "classes": ops.pad(classes, padding, constant_values=-1),
        "confidence": ops.pad(ranks, padding, constant_values=-1.0),
        "num_detections": ops.sum(ops.cast(valid, "int32"), axis=-1),
    }
