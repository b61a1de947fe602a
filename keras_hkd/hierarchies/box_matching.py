"""Dense predictions that do not line up, matched through decoded boxes.

The one place that brings a teacher's detections to a student's anchors: another family, other
anchors, another image size, a cache of detections, a file in COCO-results form.
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
Matched.__doc__ = """What a teacher's detections say about each anchor of a student.

Attributes:
    found: `(batch, anchors)` bool, anchors that stand for one of the teacher's detections.
    ignored: `(batch, anchors)` bool, anchors too near to one to be background.
    boxes: `(batch, anchors, 4)` xyxy pixels of that detection, meaningful where `found`.
    scores: `(batch, anchors)` in [0, 1], the teacher's score there; 0 where it found nothing.
    logits: `(batch, anchors, classes)`, its class logits there; background where it found nothing.
"""


def match_detections(
    student: Detector,
    student_outputs: TensorDict,
    detections: TensorDict,
    image_size: Sequence[int],
) -> Matched:
    """Each anchor of the student, and what the teacher detected there.

    Which anchors stand for a detection is decided by the student's own rule, as for labels: best
    IoU with the anchor in a RetinaNet, task-aligned assignment in a YOLOV8. With s_k the score of
    detection k and t_ik how well anchor i fits it (the student's target score, 1 in a RetinaNet),

        score_i = s_k t_ik / max_j t_jk

    so that the anchor which fits best is told the teacher's score. Everything else is background,
    a score of 0.001: a detection is all that is known of the teacher.

    Args:
        student: a `Detector`.
        student_outputs: what it gave for the batch.
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
    """`log(s / (1 - s))` of scores held between background and certainty.

    Args:
        scores: tensor in [0, 1].

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
    """`(batch, anchors)` int32: which of the labels each anchor's target is."""
    distance = sum(
        ops.abs(target_boxes[..., axis, None] - labels["boxes"][:, None, :, axis])
        for axis in range(4)
    )
    other = ops.cast(target_classes, "float32")[..., None] != labels["classes"][:, None, :]
    return ops.cast(ops.argmin(ops.where(other, 1e9, distance), axis=-1), "int32")
