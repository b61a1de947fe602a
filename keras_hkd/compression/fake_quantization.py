"""Rounding as int8 does it, in float: tfmot's quantizers as layers of Keras 3."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from keras_hkd.compression.model_optimization import LastValueQuantize, MovingAvgQuantize
from keras_hkd.errors import InvalidValueError
from keras_hkd.tensors import Shape, Tensor

SIGMOID_RANGE = (0.0, 255.0 / 256.0)
"""What TFLite's integer sigmoid gives: 256 steps of 1/256 from 0."""


def rounded_weights(weights: Tensor, training: bool | None = False) -> Tensor:
    """Round weights to 255 levels, symmetrically, with one scale for each slice of the last axis.

    `scale = max|w| / 127`; gradients pass as if nothing were rounded. The range is that of the
    weights themselves, not of the last training step, so that weights which are averaged, pruned
    or loaded are rounded in their own range.

    Args:
        weights: `(..., channels)` float32 tensor.
        training: whether gradients are wanted. Without them the same is computed by operations
            that the converter folds into constants.

    Example:

    >>> [round(float(row[0]), 3) for row in rounded_weights(ops.array([[1.27], [0.004]]))]
    [1.27, 0.0]
    """
    axes = list(range(len(weights.shape) - 1))
    limits = ops.stop_gradient(ops.maximum(ops.max(ops.abs(weights), axis=axes), 1e-6))
    if not training:
        scales = limits / 127.0
        return ops.round(weights / scales) * scales
    return LastValueQuantize(
        weights,
        -limits,
        limits,
        per_channel=True,
        is_training=False,  # the last value is this one, so nothing is to be remembered
        symmetric=True,
        narrow_range=True,
    )


@keras.saving.register_keras_serializable(package="keras_hkd")
class ActivationRange(keras.layers.Layer):
    """Rounds a tensor to 256 steps of a range that follows the training batches.

    In training the range moves as `range += (1 - d) * (range of batch - range)`, with
    `d = min(decay, n / (n + 1))` after n batches: the first sets it. In inference, and without a
    `decay`, it stands.

    Args:
        decay: weight of the past, below 1; None for a range that does not move.

    Example:

    >>> layer = ActivationRange()
    >>> layer(ops.array([0.0, 2.55]), training=True).shape
    TensorShape([2])
    >>> [round(float(value), 3) for value in layer(ops.array([0.0149, 99.0]))]
    [0.01, 2.55]
    """

    def __init__(self, decay: float | None = 0.99, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        if decay is not None and not 0.0 <= decay < 1.0:
            raise InvalidValueError(f"`decay` must be None or in [0, 1). Received: decay={decay}")
        self.decay = None if decay is None else float(decay)
        self.observer: Any = None  # while ranges are calibrated: is shown each tensor, unrounded

    def build(self, input_shape: Shape) -> None:
        self.minimum, self.maximum, self.num_batches = (
            self.add_weight(
                shape=(), initializer="zeros", trainable=False, name=name, aggregation=aggregation
            )
            for name, aggregation in (
                ("minimum", "mean"),
                ("maximum", "mean"),
                ("num_batches", "only_first_replica"),
            )
        )
        self.built = True

    def call(self, inputs: Tensor, training: bool | None = False) -> Tensor:
        if self.observer is not None:
            self.observer(inputs)
            return inputs
        training = bool(training) and self.trainable and self.decay is not None
        if training:
            count = tf.convert_to_tensor(self.num_batches.value)
            decay = ops.minimum(self.decay, count / (count + 1.0))
            self.num_batches.assign_add(1.0)
        else:
            decay = 0.0  # not read
        return MovingAvgQuantize(
            inputs,
            self.minimum.value,
            self.maximum.value,
            ema_decay=decay,
            is_training=training,
        )

    def compute_output_spec(
        self, inputs: Tensor, training: bool | None = False
    ) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "decay": self.decay}


@keras.saving.register_keras_serializable(package="keras_hkd")
class FixedRange(keras.layers.Layer):
    """Rounds a tensor to 256 steps of a range known beforehand.

    Args:
        minimum: least value, 0 or below.
        maximum: largest value, 0 or above.

    Example:

    >>> FixedRange(0.0, 255.0)(ops.array([-3.0, 100.4])).numpy().tolist()
    [0.0, 100.0]
    """

    def __init__(self, minimum: float, maximum: float, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.minimum = float(minimum)
        self.maximum = float(maximum)

    def call(self, inputs: Tensor) -> Tensor:
        limits = (ops.convert_to_tensor(value) for value in (self.minimum, self.maximum))
        return MovingAvgQuantize(inputs, *limits, is_training=False)

    def compute_output_spec(self, inputs: Tensor) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "minimum": self.minimum, "maximum": self.maximum}
