"""Alignment of two detectors: equal anchors, common classes, projections between widths."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_hkd.errors import InvalidValueError
from keras_hkd.tensors import TensorDict

ANCHORS = ("levels", "strides", "anchors_per_cell", "anchor_sizes", "clip_anchors", "cell_offset")
"""Attributes of a detector that determine where its anchors lie."""


def misalignment(teacher: Any, student: Any) -> str | None:
    """Explain why anchor i of the teacher is not anchor i of the student.

    Args:
        teacher: a `Detector`.
        student: a `Detector`.

    Returns:
        A part of a sentence, or None if the anchors of both are equal.
    """
    if type(teacher) is not type(student):
        return (
            "teacher and student must be of one family. Received: teacher "
            f"{type(teacher).__name__}, student {type(student).__name__}"
        )
    for attribute in (*ANCHORS, "coding"):
        ours, theirs = getattr(student, attribute), getattr(teacher, attribute)
        if ours != theirs:
            return f"`{attribute}` must be equal. Received: teacher {theirs}, student {ours}"
    return None


def check_same_anchors(teacher: Any, student: Any, hierarchy_name: str) -> None:
    """Check that the dense predictions of both line up anchor by anchor.

    Args:
        teacher: a `Detector`.
        student: a `Detector`.
        hierarchy_name: name of the hierarchy, for the message.

    Raises:
        ValueError: if they do not.
    """
    reason = misalignment(teacher, student)
    if reason is not None:
        raise InvalidValueError(
            f"{hierarchy_name} compares dense predictions anchor by anchor, so {reason}. Build the "
            "student with the teacher's anchors, or use ClassLogits and Boxes, which match other "
            "anchors through decoded boxes."
        )


def shared_classes(
    teacher: Any, student: Any, hierarchy_name: str = "This hierarchy"
) -> tuple[int, ...] | None:
    """Find the student's classes among the teacher's, by name.

    Args:
        teacher: anything with `class_names`.
        student: anything with `class_names`.
        hierarchy_name: name of the hierarchy, for the message.

    Returns:
        A tuple of indices into the teacher's classes, in the order of the student's; None if both
        have the same classes.

    Raises:
        ValueError: if the teacher lacks a class.
    """
    if teacher.class_names == student.class_names:
        return None
    missing = [name for name in student.class_names if name not in teacher.class_names]
    if missing:
        names = teacher.class_names
        shown = names if len(names) <= 8 else (*names[:8], f"... {len(names)} in all")
        raise InvalidValueError(
            f"{hierarchy_name} needs a teacher that knows the student's classes, and it has no "
            f"{', '.join(map(repr, missing))}. Received: teacher {shown}, student "
            f"{student.class_names}. Name the classes of a raw model: as_detector(model, "
            "class_names=..., class_indices=...)."
        )
    return tuple(teacher.class_names.index(name) for name in student.class_names)


def narrowed(outputs: TensorDict, indices: Sequence[int] | None) -> TensorDict:
    """Reduce a teacher's outputs to the student's classes.

    Args:
        outputs: dict that may hold `class_logits (batch, anchors, classes)` or `detections`.
        indices: result of `shared_classes`; None returns the outputs unchanged.

    Returns:
        A dict of the same keys.
    """
    if indices is None:
        return outputs
    outputs = dict(outputs)
    if "class_logits" in outputs:
        chosen = ops.array(indices, "int32")
        outputs["class_logits"] = ops.take(outputs["class_logits"], chosen, axis=-1)
    if "detections" in outputs:
        found = outputs["detections"]
        classes = ops.cast(found["classes"], "int32")
        renamed = [ops.where(classes == index, place + 1, 0) for place, index in enumerate(indices)]
        outputs["detections"] = {**found, "classes": sum(renamed) - 1}
    return outputs


def projection(student_channels: int, teacher_channels: int, name: str) -> keras.layers.Layer:
    """Build a 1x1 convolution, the adapter of FitNets (https://arxiv.org/abs/1412.6550).

    It serves maps `(batch, height, width, channels)` and, as a product over the last axis, vectors
    and region features as well.

    Args:
        student_channels: width of its input.
        teacher_channels: width of its output.
        name: name of the layer.

    Returns:
        A built `keras.layers.Dense` over the last axis, which is equal to a 1x1 convolution.

    Example:

    >>> projection(8, 16, "projection")(keras.ops.ones((1, 4, 4, 8))).shape[-1]
    16
    """
    layer = keras.layers.Dense(teacher_channels, name=name)
    layer.build((None, student_channels))
    return layer
