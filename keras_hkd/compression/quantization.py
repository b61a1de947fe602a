"""Quantisation-aware training: a detector that rounds in training as its int8 file will."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_hkd.compression.compressed import checked_learner, rewritten
from keras_hkd.compression.fake_quantization import ActivationRange
from keras_hkd.compression.quantized_graph import quantized_network
from keras_hkd.errors import InvalidValueError
from keras_hkd.export.representative import representative_array, sample_images
from keras_hkd.learner import Learner
from keras_hkd.tensors import Tensor

CALIBRATION_BATCH = 8
MAX_VALUES = 300_000  # of an activation in one batch, evenly spaced, that quantiles are taken of
SHARES = (0.99, 0.995, 0.998, 0.999, 0.9995, 0.9999, 0.99999, 1.0)


@keras.saving.register_keras_serializable(package="keras_hkd")
class Quantization:
    """The rewrite of a network that `quantize` makes.

    Args:
        range_decay: how slowly the ranges of activations follow the training batches; None for not
            at all.
        keep_float: what the names of layers begin with that stay in float.
    """

    def __init__(self, range_decay: float | None = 0.99, keep_float: Sequence[str] = ()) -> None:
        self.range_decay = range_decay
        self.keep_float = tuple(keep_float)

    def __call__(self, network: keras.Model) -> keras.Model:
        return quantized_network(network, self.range_decay, self.keep_float)

    def get_config(self) -> dict[str, Any]:
        return {"range_decay": self.range_decay, "keep_float": list(self.keep_float)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Quantization:
        return cls(**config)


def quantize(
    student: Learner,
    representative_images: Any = None,
    *,
    range_decay: float | None = 0.99,
    coverage: float | str = 1.0,
    keep_float: Sequence[str] = (),
) -> Any:
    """Copy a detector or classifier with int8 rounding in its network, for training.

    Weights are rounded to int8 with a scale for each channel, activations to int8 in ranges that
    follow the training batches; gradients pass through. BatchNorm is folded, with its statistics
    as they are, so give it a trained student. The clone is a `Detector` (or `Classifier`) like any
    other: train it alone, or in a `Distiller` under a float teacher, such as the student itself;
    `export_tflite(clone, path, quantization="int8")` then uses the ranges that it has learned.

    Args:
        student: a `Detector`, a `Classifier`, a raw KerasCV detector, or a Distiller, whose
            student is taken. It is left as it is.
        representative_images: what the ranges start from: an array (n, height, width, 3) in
            [0, 255], a dataset or a folder; drawn scenes by default. With about 100 of the kind
            that the detector will see, the clone is a quantised detector before any training.
        range_decay: weight of the past when a training batch moves a range, in [0, 1); None for
            ranges that stay as they were calibrated.
        coverage: share of an activation's values that its first range holds, in (0.5, 1]. A few
            very large values, as SiLU gives, widen the range and make the steps coarse for all
            others; such a network loses less at 0.9995 than at 1. Give `range_decay=None` with it,
            or training widens the ranges again. `"best"` chooses for each activation, from 0.99 to
            1, the share whose rounding has the least squared error.
        keep_float: beginnings of the names of layers that are not rounded, such as `("stem",)`:
            where a few layers make most of the error, an int8 file that computes them in float
            loses less. Processors that have no floats cannot run such a file.

    Returns:
        The clone, of the same family.

    Raises:
        TypeError: neither detector nor classifier.
        UnsupportedLayerError: a layer that cannot be quantised; names it and its type.
        ValueError: it is quantised already, `range_decay` is out of range, or `keep_float` names no
            layer.

    Example:

    >>> import keras_hkd
    >>> student = keras_hkd.detectors.build("yolo_v8_micro", image_size=(64, 64))
    >>> clone = keras_hkd.quantize(student)
    >>> clone.loss_names, clone.image_size
    (('class_loss', 'box_loss'), (64, 64))

    Reference:
        Jacob et al., https://arxiv.org/abs/1712.05877.
    """
    student = checked_learner(student)
    if is_quantized(student):
        raise InvalidValueError(f"'{student.name}' is quantised already: train it on as it is.")
    size = student.image_size
    if representative_images is None:
        images = sample_images(size, CALIBRATION_BATCH)
    else:
        antialias = getattr(student, "antialias", True)
        images = representative_array(representative_images, size, antialias=antialias)
    shares = checked_coverage(coverage)
    quantized = rewritten(student, Quantization(range_decay, keep_float))
    if shares == (1.0,):
        calibrate(quantized, images)
    else:
        calibrate_to_coverage(quantized, images, shares)
    return quantized


def checked_coverage(coverage: float | str) -> tuple[float, ...]:
    """List the shares of an activation's values that its range may hold.

    Args:
        coverage: as `quantize` takes it.

    Raises:
        ValueError: neither a share nor `"best"`.

    Example:

    >>> checked_coverage(0.999)
    (0.999,)
    """
    if coverage == "best":
        return SHARES
    if isinstance(coverage, str) or not 0.5 < coverage <= 1.0:
        raise InvalidValueError(
            f'`coverage` must lie in (0.5, 1], or be "best". Received: coverage={coverage!r}'
        )
    return (float(coverage),)


def activation_ranges(quantized: Any) -> list[ActivationRange]:
    """List the layers that hold the ranges of activations."""
    return [layer for layer in quantized._flatten_layers() if isinstance(layer, ActivationRange)]


def calibrate_to_coverage(quantized: Any, images: Any, shares: tuple[float, ...]) -> None:
    """Set the ranges of all activations so that they hold a share of the values.

    Each is the mean over batches of the quantiles `1 - share` and `share`, with 0 in it, of the
    float network. Of several shares that with the least mean squared error of rounding is taken.
    What nothing reads but the user keeps all its values: the few largest scores are the detections.

    Args:
        quantized: what `quantize` gave.
        images: `(n, height, width, 3)` in [0, 255].
        shares: shares of the values that a range may hold.
    """
    ranges = activation_ranges(quantized)
    last = [layer for layer in ranges if not layer._outbound_nodes]
    # Of each batch an array (shares, 2), and errors (shares,).
    limits: dict[int, list[Any]] = {id(layer): [] for layer in ranges}
    errors: dict[int, list[Any]] = {id(layer): [] for layer in ranges}

    def observer(layer: keras.layers.Layer) -> Callable[[Tensor], None]:
        def observe(values: Any) -> None:
            values = ops.convert_to_numpy(values).ravel()
            if layer in last:
                limits[id(layer)].append([[values.min(), values.max()]])
                return
            kept = values[:: 1 + len(values) // MAX_VALUES]
            found = np.quantile(kept, [[1.0 - share, share] for share in shares])
            found = np.stack([np.minimum(found[:, 0], 0.0), np.maximum(found[:, 1], 0.0)], axis=1)
            limits[id(layer)].append(found)
            if len(shares) > 1:
                errors[id(layer)].append([rounding_error(kept, *pair) for pair in found])

        return observe

    try:
        for layer in ranges:
            layer.observer = observer(layer)
        for start in range(0, len(images), CALIBRATION_BATCH):
            batch = np.asarray(images[start : start + CALIBRATION_BATCH], "float32")
            quantized.network(quantized.rescaled(batch))
    finally:
        for layer in ranges:
            layer.observer = None
    for layer in ranges:
        found = np.array(limits[id(layer)])
        if layer in last:
            least, largest = min(found[:, 0, 0].min(), 0.0), max(found[:, 0, 1].max(), 0.0)
        else:
            best = np.argmin(np.mean(errors[id(layer)], axis=0)) if len(shares) > 1 else 0
            least, largest = np.mean(found, axis=0)[best]
        layer.minimum.assign(float(least))
        layer.maximum.assign(float(largest))
        layer.num_batches.assign(1.0)


def rounding_error(values: np.ndarray, least: float, largest: float) -> float:
    """Compute the mean squared error of values rounded to 256 steps of a range.

    Args:
        values: values of an activation.
        least: end of the range, 0 or below.
        largest: end of the range, 0 or above.

    Example:

    >>> rounding_error(np.array([0.0, 3.0]), 0.0, 1.0)
    2.0
    """
    step = max(largest - least, 1e-6) / 255.0
    rounded = np.round((np.clip(values, least, largest) - least) / step) * step + least
    return float(np.mean(np.square(values - rounded)))


def calibrate(quantized: Any, images: Any) -> None:
    """Set the ranges of all activations to the mean over batches of their least and largest value.

    Args:
        quantized: what `quantize` gave.
        images: `(n, height, width, 3)` in [0, 255].
    """
    ranges = activation_ranges(quantized)
    decays = [layer.decay for layer in ranges]
    for layer in ranges:
        layer.decay = 0.999  # every batch of the calibration counts alike
        layer.num_batches.assign(0.0)
    for start in range(0, len(images), CALIBRATION_BATCH):
        batch = np.asarray(images[start : start + CALIBRATION_BATCH], "float32")
        quantized.network(quantized.rescaled(batch), training=True)
    for layer, decay in zip(ranges, decays, strict=True):
        layer.decay = decay
        layer.num_batches.assign(1.0)  # the training images soon weigh more


def is_quantized(model: object) -> bool:
    """Tell whether a model was made by `quantize`.

    Args:
        model: anything.
    """
    return any(isinstance(rewrite, Quantization) for rewrite in getattr(model, "rewrites", ()))
