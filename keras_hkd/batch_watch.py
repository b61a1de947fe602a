"""Warns of batches that are probably not in the form that the model expects.

What is wrong is counted in the graph, in one small variable, and read by the host after the first
steps, then after twice as many each time, and at the end of every epoch: a step costs no transfer.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import keras
from keras import ops

from keras_hkd.box_labels import padded, states_of
from keras_hkd.errors import InvalidValueError
from keras_hkd.messages import stack_level_of_caller

COUNTS = (
    *("boxes", "of_no_class", "not_finite", "reversed", "empty", "small", "outside"),
    *("images", "fractions", "negative", "above_255"),
)
SMALL_PX = 2.0
EVERY_NTH_PIXEL = 4


class BatchWarning(UserWarning):
    """A batch has boxes or pixels that are probably not in the form that the model expects."""


@keras.saving.register_keras_serializable(package="keras_hkd")
class BatchCounts(keras.metrics.Metric):
    """Counts, over batches, of what is wrong with images and labels; adds nothing to the logs."""

    def __init__(self, name: str = "batch_counts") -> None:
        super().__init__(name=name)
        self.counts = self.add_variable((len(COUNTS),), "zeros", name="counts")

    def update_state(self, images: Any, labels: Any = None, num_classes: int = 1) -> None:
        """Add a batch.

        Args:
            images: `(batch, height, width, 3)`.
            labels: dict of labels; None where there are none.
            num_classes: number of classes of the model.
        """
        found = {**_of_images(images), **_of_labels(labels, images, num_classes)}
        values = [
            ops.sum(ops.cast(found[name], "float32")) if name in found else 0.0 for name in COUNTS
        ]
        self.counts.assign_add(ops.stack([ops.convert_to_tensor(v, "float32") for v in values]))

    def result(self) -> dict:
        return {}


class BatchWatch:
    """Counts what is wrong with the batches of a model, and warns of it.

    Attributes:
        counts: a `BatchCounts`, one of the model's metrics.
    """

    def __init__(self) -> None:
        self.counts = BatchCounts()
        self._paused = False

    def count(self, images: Any, labels: Any = None, num_classes: int = 1) -> None:
        """Add a batch to the counts; see `BatchCounts.update_state`.

        Args:
            images: `(batch, height, width, 3)`.
            labels: dict of labels; None where there are none.
            num_classes: number of classes of the model.
        """
        if not self._paused:
            self.counts.update_state(images, labels, num_classes)

    @contextlib.contextmanager
    def paused(self, paused: bool = True) -> Iterator[None]:
        """Count nothing for a while.

        A worker that predicts alone must not: the counts are shared, and to add to them all
        workers exchange theirs.

        Args:
            paused: False to go on counting.
        """
        kept, self._paused = self._paused, paused
        try:
            yield
        finally:
            self._paused = kept

    def tell(self, learner: Any, told: set[str]) -> None:
        """Read the counts; warns once of each kind of thing, and sets the counts back to 0.

        Args:
            learner: the model that was given the batches, for its classes.
            told: kinds that were warned of; extended.

        Raises:
            ValueError: a class that the model does not have.
        """
        values = ops.convert_to_numpy(self.counts.counts).tolist()
        if not any(values):
            return
        self.counts.reset_state()
        found = {name: round(value) for name, value in zip(COUNTS, values, strict=True)}
        if found["of_no_class"]:
            raise InvalidValueError(_other_classes(found, learner))
        for kind, text in _remarks(found).items():
            if kind not in told:
                told.add(kind)
                warnings.warn(text, BatchWarning, stacklevel=stack_level_of_caller())


class WatchBatches(keras.callbacks.Callback):
    """Keras callback: reads a model's `BatchWatch` after 1, 2, 4, 8, ... batches and each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.told: set[str] = set()
        self.batches = 0

    def _read(self, *args: Any, logs: Any = None) -> None:
        self.model.warn_of_batches(self.told)

    def _count(self, batch: int, logs: Any = None) -> None:
        self.batches += 1
        if self.batches & (self.batches - 1) == 0:
            self._read()

    on_train_batch_end = on_test_batch_end = on_predict_batch_end = _count
    # Validation begins before the end of the epoch, and sets all metrics back.
    on_epoch_end = on_test_begin = on_test_end = on_predict_end = _read


def _of_images(images: Any) -> dict:
    sample = ops.cast(images[:, ::EVERY_NTH_PIXEL, ::EVERY_NTH_PIXEL], "float32")
    sample = ops.reshape(sample, (ops.shape(sample)[0], -1))
    low, high = ops.min(sample, axis=1), ops.max(sample, axis=1)
    whole = ops.all(sample == ops.floor(sample), axis=1)  # 0 and 1 are pixels too
    return {
        "images": ops.ones_like(low),
        "fractions": (low >= 0) & (high <= 1) & ops.logical_not(whole),
        "negative": low < -0.01,
        "above_255": high > 256,
    }


def _of_labels(labels: Any, images: Any, num_classes: int) -> dict:
    if isinstance(labels, dict) and "classes" not in labels:
        return {}
    if not isinstance(labels, dict) or "boxes" not in labels:
        return {} if labels is None else _of_classes(labels, num_classes)
    boxes = ops.cast(padded(labels["boxes"]), "float32")
    classes = ops.cast(padded(labels["classes"]), "float32")
    if len(classes.shape) == 3:
        classes = ops.squeeze(classes, axis=2)
    states = states_of(boxes, classes, num_classes)
    there = states["labelled"]
    height, width = images.shape[1:3]
    sides = boxes[..., 2:] - boxes[..., :2]
    area = ops.all(sides > 0, axis=-1) & ops.logical_not(states["not_finite"])
    far = ops.any(boxes < -1.0, axis=-1)
    far = far | (boxes[..., 2] > width + 1.0) | (boxes[..., 3] > height + 1.0)
    states["small"] = area & ops.all(sides < SMALL_PX, axis=-1)
    states["outside"] = area & far
    found = {name: there & states[name] for name in COUNTS[1:7]}
    return {**found, "boxes": there}


def _of_classes(labels: Any, num_classes: int) -> dict:
    classes = labels["classes"] if isinstance(labels, dict) else labels
    classes = ops.cast(classes, "float32")
    known = (classes < num_classes) & (classes == ops.floor(classes))
    return {"boxes": classes >= 0, "of_no_class": (classes >= 0) & ops.logical_not(known)}


def _other_classes(found: dict[str, int], learner: Any) -> str:
    last = learner.num_classes - 1
    return (
        f"Class ids must be whole numbers in [0, {last}], since the {learner.kind} has "
        f"{learner.num_classes} ({', '.join(learner.class_names)}); padding is -1. Ids that begin "
        f"at 1 must be lowered by 1. Received: {found['of_no_class']} of {found['boxes']} labels "
        "with another class."
    )


def _remarks(found: dict[str, int]) -> dict[str, str]:
    """Return the warnings that the counts give rise to, by kind."""
    boxes, images, told = found["boxes"], found["images"], {}
    if found["reversed"]:
        told["reversed"] = (
            f"{found['reversed']} of {boxes} labelled boxes end before they begin (x2 < x1 or "
            "y2 < y1) and are left out. Boxes are expected as x1, y1, x2, y2 in pixels of the "
            "image: are these x, y, width, height?"
        )
    if found["not_finite"] or found["empty"]:
        told["false"] = (
            f"{found['not_finite'] + found['empty']} of {boxes} labelled boxes are not finite or "
            "have no area, and are left out. Mark padding with class -1."
        )
    if boxes and found["small"] == boxes:
        told["small"] = (
            f"All {boxes} labelled boxes are less than {SMALL_PX:g} pixels wide and high. Boxes "
            "are expected as x1, y1, x2, y2 in pixels of the image: are these fractions of it?"
        )
    if 2 * found["outside"] > boxes:
        told["outside"] = (
            f"{found['outside']} of {boxes} labelled boxes reach beyond the image. Boxes are "
            "expected as x1, y1, x2, y2 in pixels of the image as it is given: are these of the "
            "image before it was resized, or x, y, width, height?"
        )
    expected = "Pixels are expected in [0, 255], since the model rescales them itself"
    if images and found["fractions"] == images:
        told["pixels"] = f"{expected}; those of these images lie in [0, 1]."
    elif 2 * found["negative"] > images:
        told["pixels"] = f"{expected}; those of {found['negative']} of {images} are negative."
    elif 2 * found["above_255"] > images:
        told["pixels"] = f"{expected}; those of {found['above_255']} of {images} go beyond 255."
    return told
