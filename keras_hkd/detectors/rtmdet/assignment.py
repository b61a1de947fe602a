"""Dynamic soft label assignment: which points of RTMDet learn which person, and how well."""

from __future__ import annotations

from keras import ops

from keras_hkd.boxes.iou import pairwise_iou
from keras_hkd.detectors.detector import Assignment
from keras_hkd.tensors import Tensor

NEVER = 1e8  # cost of a pair that may not be
EPSILON = 1e-7


def dynamic_soft_labels(
    logits: Tensor,
    boxes: Tensor,
    points: Tensor,
    strides: Tensor,
    labels: dict[str, Tensor],
    *,
    candidates: int = 13,
    iou_weight: float = 3.0,
    centre_radius: float = 3.0,
) -> Assignment:
    """Assign points to labelled boxes by the cost of predicting them.

    The cost of box g at point p, which must lie in some labelled box, is

    `BCE(logit, IoU) * |IoU - sigmoid(logit)|^2 - iou_weight * log(IoU)
    + 10^(distance to the centre of g in strides - centre_radius)`.

    Each box takes its k cheapest points, k being the sum of its `candidates` largest overlaps, at
    least 1; a point that several boxes take goes to the cheapest. Its target score is the overlap.

    Args:
        logits: `(batch, points, classes)`.
        boxes: `(batch, points, 4)` predicted, xyxy pixels.
        points: `(points, 2)` x, y in pixels.
        strides: `(points, 1)` in pixels.
        labels: dict of `boxes (batch, n, 4)` xyxy pixels and `classes (batch, n)`, padded with -1.
        candidates: overlaps that decide how many points a box takes.
        iou_weight: weight of the overlap.
        centre_radius: distance from the centre, in strides, at which its cost is 1.

    Returns:
        An `Assignment`.

    Reference:
        Lyu et al., https://arxiv.org/abs/2212.07784.
    """
    people = ops.cast(labels["boxes"], "float32")
    classes = ops.cast(labels["classes"], "int32")
    num_classes, num_points = logits.shape[-1], points.shape[0]
    if people.shape[1] == 0:
        nobody = ops.zeros_like(logits[..., 0]) > 0
        return Assignment(nobody, nobody, ops.zeros_like(boxes), ops.zeros_like(logits))
    present = classes >= 0
    one_hot = ops.one_hot(ops.maximum(classes, 0), num_classes)  # (batch, people, classes)
    overlaps = pairwise_iou(boxes, people, xp=ops)  # (batch, points, people)
    inside = ops.any(_inside(points, people) & present[:, None, :], axis=-1)
    allowed = inside[:, :, None] & present[:, None, :]
    cost = ops.where(
        allowed,
        _class_cost(logits, one_hot, overlaps)
        - iou_weight * ops.log(overlaps + EPSILON)
        + ops.power(10.0, _centre_distance(points, strides, people) - centre_radius),
        NEVER,
    )
    taken = _cheapest(cost, ops.where(allowed, overlaps, 0.0), min(candidates, num_points))
    taken = taken & allowed
    owner = ops.argmin(ops.where(taken, cost, 2 * NEVER), axis=-1)
    positive = ops.any(taken, axis=-1)
    chosen = ops.one_hot(owner, people.shape[1]) * ops.cast(positive, "float32")[..., None]
    quality = ops.sum(chosen * overlaps, axis=-1, keepdims=True)
    return Assignment(
        positive,
        ops.zeros_like(positive),
        ops.matmul(chosen, people),
        ops.matmul(chosen, one_hot) * quality,
    )


def _inside(points: Tensor, people: Tensor) -> Tensor:
    """Tell whether each point lies within each box, `(batch, points, people)`."""
    near = points[None, :, None, :] - people[:, None, :, :2]
    far = people[:, None, :, 2:] - points[None, :, None, :]
    return ops.min(ops.minimum(near, far), axis=-1) > 0


def _centre_distance(points: Tensor, strides: Tensor, people: Tensor) -> Tensor:
    centres = (people[..., :2] + people[..., 2:]) / 2
    away = points[None, :, None, :] - centres[:, None, :, :]
    return ops.sqrt(ops.sum(ops.square(away), axis=-1)) / strides[None]


def _class_cost(logits: Tensor, one_hot: Tensor, overlaps: Tensor) -> Tensor:
    """Compute binary cross-entropy against the overlap as soft label, summed over classes."""
    total = 0.0
    for index in range(logits.shape[-1]):
        logit = logits[..., index : index + 1]
        target = overlaps * one_hot[:, None, :, index]
        error = ops.square(target - ops.sigmoid(logit))
        cross_entropy = ops.relu(logit) - logit * target + ops.softplus(-ops.abs(logit))
        total = total + cross_entropy * error
    return total


def _cheapest(cost: Tensor, overlaps: Tensor, candidates: int) -> Tensor:
    """Mark the k cheapest points of each box, bool `(batch, points, people)`."""
    best = ops.top_k(ops.swapaxes(overlaps, 1, 2), candidates)[0]
    count = ops.maximum(ops.cast(ops.sum(best, axis=-1), "int32"), 1)  # (batch, people)
    cheapest = -ops.top_k(-ops.swapaxes(cost, 1, 2), candidates)[0]
    place = ops.expand_dims(ops.minimum(count, candidates) - 1, axis=-1)
    limit = ops.squeeze(ops.take_along_axis(cheapest, place, axis=-1), axis=-1)
    return cost <= limit[:, None, :]
