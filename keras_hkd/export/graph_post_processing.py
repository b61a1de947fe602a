"""Decodes raw heads to detections in a TensorFlow graph of TFLite's builtin operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops

from keras_hkd.boxes import clip
from keras_hkd.boxes.coding import HEADS, joint_logits
from keras_hkd.boxes.grid import Grid
from keras_hkd.inference.post_processing import NUM_CANDIDATES, Suppression
from keras_hkd.tensors import Tensor


def detections_in_graph(
    class_logits: Tensor,
    box_outputs: Tensor,
    grid: Grid,
    suppression: Suppression,
    objectness: Tensor = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Decode the detections of one image in the graph, as `post_processing.detections` does.

    Args:
        class_logits: `(1, anchors, classes)`.
        box_outputs: `(1, anchors, coding.num_values)`.
        grid: a `Grid`.
        suppression: a `Suppression`.
        objectness: `(1, anchors, 1)` logits, of a family that has them.

    Returns:
        boxes `(1, N, 4)` ymin, xmin, ymax, xmax in 0..1; classes `(1, N)`; scores `(1, N)`; count
        `(1,)`: all float32, in the order that MediaPipe reads, filled up with 0.
    """
    num_classes = class_logits.shape[-1]
    if objectness is not None:
        class_logits = joint_logits(class_logits, objectness, ops)
    num_pairs = grid.num_anchors * num_classes
    logits, best = tf.math.top_k(tf.reshape(class_logits, (-1,)), min(NUM_CANDIDATES, num_pairs))
    scores = tf.sigmoid(logits)
    anchors, classes = best, tf.zeros_like(best)
    if num_classes > 1:
        anchors = tf.math.floordiv(best, num_classes)
        classes = best - anchors * num_classes
    outputs = tf.gather(tf.reshape(box_outputs, (grid.num_anchors, -1)), anchors)
    boxes = clip(grid.decode(outputs, anchors, ops), grid.image_size, ops)
    boxes = tf.gather(boxes, [1, 0, 3, 2], axis=-1)
    classes = tf.cast(classes, tf.float32)
    # Boxes of different classes must not meet: each class gets a place of its own.
    apart = boxes + classes[:, None] * (2.0 * max(grid.image_size)) if num_classes > 1 else boxes
    # Of equal scores, which int8 has many of, runtimes keep any: the order that they stand in says
    # which, so that every runtime keeps the same.
    order = np.arange(int(best.shape[0]), 0, -1, dtype=np.float32)
    order *= tf.cast(scores > float(suppression.score_threshold), tf.float32)
    kept, count = tf.raw_ops.NonMaxSuppressionV4(
        boxes=apart,
        scores=order,
        max_output_size=suppression.max_detections,
        iou_threshold=float(suppression.iou_threshold),
        score_threshold=0.0,
        pad_to_max_output_size=True,
    )
    valid = tf.cast(tf.range(suppression.max_detections) < count, tf.float32)
    height, width = grid.image_size
    boxes = tf.gather(boxes, kept) * (1.0 / np.array([height, width, height, width], "float32"))
    return (
        (boxes * valid[:, None])[None],
        (tf.gather(classes, kept) * valid)[None],
        (tf.gather(scores, kept) * valid)[None],
        tf.reshape(tf.cast(count, tf.float32), (1,)),
    )


def post_processing_function(
    grid: Grid, suppression: Suppression, num_classes: int, head_names: Sequence[str] = HEADS[:2]
) -> Any:
    """Build the TensorFlow function of decoding and suppression alone.

    Args:
        grid: a `Grid`.
        suppression: a `Suppression`.
        num_classes: classes of the detector.
        head_names: names of the raw heads, in order.

    Returns:
        A concrete function from the raw heads to boxes, classes, scores and count.
    """

    def post(*heads: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        class_logits, box_outputs, *objectness = heads
        return detections_in_graph(class_logits, box_outputs, grid, suppression, *objectness)

    widths = dict(zip(HEADS, (num_classes, grid.coding.num_values, 1), strict=True))
    return tf.function(post, autograph=False).get_concrete_function(
        *(
            tf.TensorSpec((1, grid.num_anchors, widths[name]), tf.float32, name=name)
            for name in head_names
        )
    )
