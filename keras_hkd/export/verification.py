"""Checks that an exported file runs and gives the same outputs as Keras."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_hkd.boxes.coding import HEADS
from keras_hkd.boxes.grid import Grid
from keras_hkd.detectors.detector import Detector
from keras_hkd.errors import RunFailedError
from keras_hkd.inference.post_processing import Suppression

# Largest error of the raw heads that a kind of file may have, as a share of their spread.
LIMITS = {None: 1e-3, "float16": 2e-2, "dynamic": 0.25, "int8": 0.5, "int16x8": 0.25}
INT8_REMEDY = (
    "Train it with rounding first (`--quantize` of keras-hkd train and distill, or "
    "keras_hkd.compression.quantize and fit), or write float16 or int16x8. The int8 file of a "
    "preset comes with it. keras_hkd.export.layer_errors says which layers lose most."
)
# Heads that hardly vary (an untrained detector) are compared on this scale, in logits or deltas.
_LEAST_SPREAD = 0.25


class ExportError(RunFailedError):
    """An exported file does not run or disagrees with Keras; it is not written."""


def head_errors(
    expected: Mapping[str, np.ndarray], received: Mapping[str, np.ndarray]
) -> dict[str, float]:
    """Compute the error of raw heads as a share of their spread.

    `sqrt(mean((received - expected)^2)) / max(std(expected), 0.25)`

    Args:
        expected: dict of arrays from Keras, by the names of the heads.
        received: the same from the file.

    Returns:
        dict from name to error; nan if anything received is not finite.

    Example:

    >>> heads = {"class_logits": np.array([-1.0, 1.0]), "box_outputs": np.array([0.0, 2.0])}
    >>> head_errors(heads, {**heads, "box_outputs": np.array([0.1, 2.1])})
    {'class_logits': 0.0, 'box_outputs': 0.1}
    """
    errors = {}
    for name in expected:
        difference = np.asarray(received[name], np.float64) - expected[name]
        spread = max(float(np.std(expected[name])), _LEAST_SPREAD)
        errors[name] = round(float(np.sqrt(np.mean(difference**2))) / spread, 9)
    return errors


def check_heads(
    expected: Mapping[str, np.ndarray], received: Mapping[str, np.ndarray], limit: float, what: str
) -> dict[str, float]:
    """Refuse raw heads that differ from Keras by more than their kind of file may.

    Args:
        expected: dict of arrays from Keras.
        received: the same from the file.
        limit: largest error allowed.
        what: the kind of file, for the message.

    Returns:
        The errors.

    Raises:
        ExportError: an error is larger, or not a number.
    """
    errors = head_errors(expected, received)
    worst = max(errors, key=lambda name: np.nan_to_num(errors[name], nan=np.inf))
    if not errors[worst] <= limit:
        mend = f" {INT8_REMEDY}" if "int8" in what else ""
        raise ExportError(
            f"The {what} does not agree with Keras: the error of {worst} is {errors[worst]:.3g} "
            f"of its spread, {limit:g} at most is allowed. Nothing was written.{mend}"
        )
    return errors


def check_post_processing(
    detector: Detector, grid: Grid, suppression: Suppression, run: Callable[..., Any], seed: int = 0
) -> None:
    """Compare decoding and suppression in the graph with the detector's own, on random raw heads.

    Random heads have no ties and many overlaps, which those of an untrained detector do not.

    Args:
        detector: a `Detector`.
        grid: its `Grid`.
        suppression: a `Suppression`.
        run: function from the raw heads in order (arrays of a batch of one) to boxes, classes,
            scores and count, as the graph gives them.
        seed: seed of the heads.

    Raises:
        ExportError: they differ.
    """
    heads = random_heads(grid, detector.num_classes, seed, detector.head_names)
    boxes, classes, scores, count = (np.asarray(value) for value in run(*heads))
    found = detector.detections(
        detector.joined(dict(zip(detector.head_names, heads, strict=True))),
        grid.image_size,
        max_detections=suppression.max_detections,
        iou_threshold=suppression.iou_threshold,
        score_threshold=suppression.score_threshold,
    )
    found = {name: np.asarray(value)[0] for name, value in found.items()}
    num = int(found["num_detections"])
    height, width = grid.image_size
    pixels = boxes[0, :num][:, [1, 0, 3, 2]] * np.array([width, height, width, height])
    agree = (
        num == int(count[0])
        and np.allclose(scores[0, :num], found["confidence"][:num], atol=1e-4)
        and np.array_equal(classes[0, :num], found["classes"][:num])
        and np.allclose(pixels, found["boxes"][:num], atol=0.05)
    )
    if not agree:
        raise ExportError(
            f"Decoding in the graph disagrees with the detector: {int(count[0])} detections "
            f"against {num}, or other boxes, classes or scores. Nothing was written."
        )


def random_heads(
    grid: Grid, num_classes: int, seed: int = 0, head_names: Sequence[str] = HEADS[:2]
) -> tuple[np.ndarray, ...]:
    """Draw random raw heads with small boxes, many overlaps and no ties.

    Args:
        grid: a `Grid`.
        num_classes: classes of the detector.
        seed: seed of the draw.
        head_names: which heads.

    Returns:
        A tuple of these heads, float32: `(1, anchors, classes)` logits, `(1, anchors,
        coding.num_values)` box outputs, `(1, anchors, 1)` objectness.
    """
    generator = np.random.default_rng(seed)
    size = (1, grid.num_anchors)
    logits = generator.normal(-1.0, 2.0, (*size, num_classes))
    outputs = generator.normal(0.0, 1.5, (*size, grid.coding.num_values))
    objectness = generator.normal(0.0, 2.0, (*size, 1))
    bins = grid.coding.num_bins
    if bins:  # near sides are likelier, or all boxes would cover the image
        outputs -= 0.4 * np.tile(np.arange(bins), 4)
    else:
        outputs = grid.coding.encode(_boxes_near(grid, outputs), grid.all_priors)
    heads = dict(zip(HEADS, (logits, outputs, objectness), strict=True))
    return tuple(heads[name].astype(np.float32) for name in head_names)


def _boxes_near(grid: Grid, draws: np.ndarray) -> np.ndarray:
    """Draw boxes about as large as the anchors, or as three strides where there are none."""
    priors, size = grid.all_priors, 1.0 if grid.has_anchors else 3.0
    centres = priors[:, :2] + 0.1 * draws[..., :2] * priors[:, 2:]
    half = size * np.exp(0.2 * draws[..., 2:]) * priors[:, 2:] / 2
    return np.concatenate([centres - half, centres + half], axis=-1)
