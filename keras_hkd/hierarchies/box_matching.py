"""Matches a teacher's detections to a student's anchors through decoded boxes.

It serves every teacher whose dense predictions do not line up with the student's: one of another
family, with other anchors or at another image size, a cache or a file of detections.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence
from typing import TYPE_CHECKING

from keras import ops

from keras_hkd.tensors import Tensor, TensorDict

if TYPE_CHECKING:
    from keras_hkd.detectors.detector import Detector

__all__ = ["match_detections"]

BACKGROUND_SCORE = 1e-3
CERTAIN_SCORE = 1.0 - 1e-4

Matched = namedtuple("Matched", "found ignored boxes scores logits")
Matched.__doc__ = """A teacher's detections, matched to the anchors of a student.

Attributes:
    found: `(batch, anchors)` bool, anchors to which a detection is assigned.
    ignored: `(batch, anchors)` bool, anchors that are too near to a detection to be background.
    boxes: `(batch, anchors, 4)` xyxy pixels of the detection, meaningful where `found`.
    scores: `(batch, anchors)` in [0, 1], the teacher's score; 0 where there is no detection.
    logits: `(batch, anchors, classes)`, the teacher's class logits; background where there is no
        detection.
"""


def match_detections(
    student: Detector,
    student_outputs: TensorDict,
    detections: TensorDict,
    image_size: Sequence[int],
) -> Matched:
    """Match a teacher's detections to the student's anchors.

    Detections are assigned to anchors by the student's own rule for labels: best IoU with the
    anchor in a RetinaNet, task-aligned assignment in a YOLOV8. With s_k the score of detection k
    and t_ik the fit of anchor i to it (the student's target score, 1 in a RetinaNet),

        score_i = s_k t_ik / max_j t_jk

    so that the best anchor of a detection gets the teacher's score. All other anchors are
    background with a score of 0.001, since nothing but detections is known of the teacher.

    Args:
        student: a `Detector`.
        student_outputs: its outputs for the batch.
        detections: dict of `boxes (batch, n, 4)` xyxy pixels of the student's images, `classes
            (batch, n)` of the student and `confidence (batch, n)`, padded with -1.
        image_size: `(height, width)` of the student's images.

    Returns:
        `Matched`, without gradient.
    """
    boxes, classes, confidence = _at_least_one(detections)
    labels = {"boxes": boxes, "classes": classes}
    assigned = student.assign(student_outputs, labels, image_size)
    fit = ops.max(assigned.target_scores, axis=-1) * ops.cast(assigned.positive, "float32")
    index = _index_of(assigned.target_boxes, ops.argmax(assigned.target_scores, axis=-1), labels)
    mine = ops.expand_dims(index, -1) == ops.arange(boxes.shape[1], dtype=index.dtype)
    best_fit = ops.max(ops.where(mine, ops.expand_dims(fit, -1), 0.0), axis=1)
    best_fit = ops.take_along_axis(best_fit, index, axis=1)
    share = fit / ops.where(best_fit > 0, best_fit, 1.0)
    scores = share * ops.take_along_axis(confidence, index, axis=1)
    found_class = ops.cast(assigned.target_scores > 0, "float32")
    matched = Matched(
        assigned.positive,
        assigned.ignored,
        assigned.target_boxes,
        scores,
        logits_of(ops.expand_dims(scores, -1) * found_class),
    )
    return Matched(*(ops.stop_gradient(value) for value in matched))


def logits_of(scores: Tensor) -> Tensor:
    """Compute `log(s / (1 - s))` of scores clipped to [0.001, 0.9999].

    Args:
        scores: tensor in [0, 1].

    Returns:
        A tensor of the same shape.

    Example:

    >>> [round(float(logit), 2) for logit in logits_of(ops.array([0.0, 0.5, 1.0]))]
    [-6.91, 0.0, 9.21]
    """
    scores = ops.clip(scores, BACKGROUND_SCORE, CERTAIN_SCORE)
    return ops.log(scores) - ops.log(1.0 - scores)


def _at_least_one(detections: TensorDict) -> tuple[Tensor, Tensor, Tensor]:
    boxes, classes, confidence = (
        ops.cast(ops.convert_to_tensor(detections[key]), "float32")
        for key in ("boxes", "classes", "confidence")
    )
    if boxes.shape[1] == 0:
        boxes = ops.pad(boxes, ((0, 0), (0, 1), (0, 0)), constant_values=-1.0)
        classes, confidence = (
            ops.pad(x, ((0, 0), (0, 1)), constant_values=-1.0) for x in (classes, confidence)
        )
    return boxes, classes, ops.maximum(confidence, 0.0)


def _index_of(target_boxes: Tensor, target_classes: Tensor, labels: TensorDict) -> Tensor:
    """Find the label that is each anchor's target: `(batch, anchors)` int32 indices."""
    distance = sum(
        ops.abs(target_boxes[..., axis, None] - labels["boxes"][:, None, :, axis])
        for axis in range(4)
    )
    other = ops.cast(target_classes, "float32")[..., None] != labels["classes"][:, None, :]
    return ops.cast(ops.argmin(ops.where(other, 1e9, distance), axis=-1), "int32")
