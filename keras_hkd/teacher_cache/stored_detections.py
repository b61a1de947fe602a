"""Storage of detections as whole numbers, and their transformation with augmented images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from keras import ops

from keras_hkd.data.batches.augmentation import plan_views, view_boxes
from keras_hkd.hierarchies.alignment import narrowed
from keras_hkd.teacher_cache.row_format import WHOLE, Field
from keras_hkd.tensors import Tensor, TensorDict

if TYPE_CHECKING:
    from keras_hkd.data import Augmentation

LARGEST = 65535
NAMES = ("boxes", "classes", "confidence", "ranks")


def fields(num_detections: int) -> tuple[Field, ...]:
    """Return the fields of a row for `num_detections` detections per image.

    Boxes are stored in 65535ths of the image's sides, as float16 would round them to half a pixel,
    and scores in 65535ths.
    """
    n = num_detections
    return (
        Field("detections/boxes", (n, 4), WHOLE),
        Field("detections/classes", (n,), WHOLE),
        Field("detections/confidence", (n,), WHOLE),
        Field("detections/ranks", (n,), WHOLE),
    )


def detect(
    teacher: Any,
    outputs: TensorDict,
    image_size: Sequence[int],
    num_detections: int,
    class_indices: Sequence[int] | None = None,
) -> dict[str, Tensor]:
    """Compute a teacher's best detections with their ranks, in `keras.ops`.

    The rank of a detection is the number of higher scores of all anchors before suppression. With c
    candidates, non-maximum suppression would see the detections of rank below c.

    Args:
        teacher: a `Detector`.
        outputs: its outputs.
        image_size: `(height, width)` in pixels that it saw.
        num_detections: number of detections per image.
        class_indices: the teacher's classes that the images have, since others would fill the list;
            None for all.

    Returns:
        dict of `boxes`, `classes`, `confidence` and `ranks`, padded with -1.
    """
    outputs = narrowed(outputs, class_indices)
    found = teacher.detections(
        outputs,
        image_size,
        max_detections=num_detections,
        score_threshold=0.0,
        num_candidates=4 * num_detections,
    )
    scores = ops.sigmoid(outputs["class_logits"])
    scores = ops.reshape(scores, (ops.shape(scores)[0], 1, -1))
    higher = scores > ops.expand_dims(found["confidence"], -1)
    ranks = ops.sum(ops.cast(higher, "int32"), axis=-1)
    classes = found["classes"]
    if class_indices is not None:  # back to the teacher's class indices
        own = ops.take(ops.array(class_indices, "int32"), ops.maximum(classes, 0), axis=0)
        classes = ops.where(classes >= 0, own, -1)
    kept = {"boxes": found["boxes"], "classes": classes, "confidence": found["confidence"]}
    return {**kept, "ranks": ranks}


def encode(detections: dict, image_size: tuple[int, int]) -> dict:
    """Convert detections to the whole numbers that are stored.

    Args:
        detections: `boxes (b, n, 4)` xyxy pixels, `classes (b, n)`, `confidence (b, n)`, `ranks
            (b, n)`, padded with -1.
        image_size: `(height, width)` in pixels of the images.

    Returns:
        dict of uint16 arrays by the names of `fields`.
    """
    height, width = image_size
    limits = np.array([width, height, width, height], np.float64)
    boxes = np.clip(np.asarray(detections["boxes"]) / limits, 0, 1) * LARGEST
    scores = np.clip(np.asarray(detections["confidence"], np.float64), 0, 1)
    return {
        "detections/boxes": np.rint(boxes).astype(np.uint16),
        "detections/classes": (np.asarray(detections["classes"]) + 1).astype(np.uint16),
        "detections/confidence": np.rint(scores * LARGEST).astype(np.uint16),
        "detections/ranks": np.minimum(np.asarray(detections["ranks"]), LARGEST).astype(np.uint16),
    }


def decode(values: dict, image_size: tuple[int, int]) -> dict:
    """Convert stored detections back, in TensorFlow; the inverse of `encode`.

    Args:
        values: tensors as a `RowFormat` unpacks them.
        image_size: `(height, width)` in pixels of the images.

    Returns:
        See `encode`.
    """
    boxes, classes, confidence, ranks = (values[f"detections/{name}"] for name in NAMES)
    height, width = image_size
    limits = tf.constant([width, height, width, height], tf.float32)
    classes = tf.cast(classes, tf.int32) - 1
    return {
        "boxes": _where(classes >= 0, tf.cast(boxes, tf.float32) / LARGEST * limits),
        "classes": classes,
        "confidence": tf.where(classes >= 0, tf.cast(confidence, tf.float32) / LARGEST, -1.0),
        "ranks": tf.cast(ranks, tf.int32),
    }


def replay(
    detections: dict,
    augmentation: Augmentation,
    draws: Tensor,
    content_sizes: Tensor,
    image_size: tuple[int, int],
) -> dict:
    """Move detections of unaugmented images to the augmented views of a batch.

    Boxes move with the picture and are clipped to the frame; scores do not change. A box of which
    too little is left for a label is dropped.

    Args:
        detections: result of `decode`.
        augmentation: an `Augmentation`.
        draws: float32 `(b, 11)`, the random numbers of the views.
        content_sizes: float32 `(b, 2)`, height and width of the letterboxed pictures.
        image_size: `(height, width)` in pixels.

    Returns:
        dict of `boxes`, `classes` and `confidence`, padded with -1.
    """
    view = plan_views(augmentation, draws, content_sizes, image_size)
    boxes, visible = view_boxes(detections["boxes"], view, image_size)
    sides = tf.minimum(boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1])
    kept = (detections["classes"] >= 0) & (visible >= augmentation.min_visible)
    kept &= sides >= augmentation.min_side_px
    order = tf.argsort(tf.cast(~kept, tf.int32), axis=1, stable=True)
    moved = {
        "boxes": _where(kept, boxes),
        "classes": tf.where(kept, detections["classes"], -1),
        "confidence": tf.where(kept, detections["confidence"], -1.0),
    }
    return {name: tf.gather(value, order, axis=1, batch_dims=1) for name, value in moved.items()}


def _where(there: Tensor, boxes: Tensor) -> Tensor:
    return tf.where(there[..., None], boxes, -1.0)
