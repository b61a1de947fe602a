"""BatchNorm put back behind convolutions into which an export has folded it."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers

from keras_hkd.errors import InvalidValueError


def set_folded(
    network: keras.Model, layer: layers.Layer, kernel: np.ndarray, bias: np.ndarray
) -> None:
    """Assign a folded kernel to a convolution, and the bias to it or to the BatchNorm behind it.

    Args:
        network: a functional model in which `NAME_norm` follows a convolution `NAME_conv` without
            bias.
        layer: the convolution.
        kernel: as Keras has it.
        bias: `(channels,)`.
    """
    layer.kernel.assign(kernel)
    if layer.use_bias:
        layer.bias.assign(bias)
        return
    norm = network.get_layer(layer.name.removesuffix("_conv") + "_norm")
    norm.moving_mean.assign(np.zeros_like(bias))
    norm.moving_variance.assign(np.ones_like(bias))
    norm.gamma.assign(np.full_like(bias, np.sqrt(1.0 + norm.epsilon)))
    norm.beta.assign(bias)


def restore_batch_norm(network: keras.Model, images: np.ndarray, batch_size: int = 8) -> None:
    """Set BatchNorm to the statistics of images without changing what the network computes.

    With mean m and variance v of a convolution's output, BatchNorm's scale and shift become those
    that undo them: `gamma' = gamma * sqrt((v + e) / (v0 + e))`,
    `beta' = beta + gamma * (m - m0) / sqrt(v0 + e)`, with the old m0, v0, gamma, beta.

    Args:
        network: a functional model in which each BatchNorm follows a convolution.
        images: `(n, height, width, 3)` RGB in [0, 255].
        batch_size: images at a time.

    Raises:
        ValueError: there is no image.
    """
    if not len(images):
        raise InvalidValueError("`images` must hold at least one image. Received: none")
    norms = [layer for layer in network.layers if isinstance(layer, layers.BatchNormalization)]
    probe = keras.Model(network.input, [norm.input for norm in norms])
    sums = [0.0] * len(norms)
    squares = [0.0] * len(norms)
    counts = [0] * len(norms)
    for start in range(0, len(images), batch_size):
        for i, x in enumerate(probe(np.asarray(images[start : start + batch_size], "float32"))):
            x = np.asarray(x, "float64").reshape(-1, x.shape[-1])
            sums[i] = sums[i] + x.sum(axis=0)
            squares[i] = squares[i] + np.square(x).sum(axis=0)
            counts[i] += len(x)
    for norm, total, square, count in zip(norms, sums, squares, counts, strict=True):
        mean = total / count
        _rewrite(norm, mean, np.maximum(square / count - np.square(mean), 1e-8))


def _rewrite(norm: Any, mean: Any, variance: Any) -> None:
    old_mean, old_variance, gamma, beta = (
        np.asarray(keras.ops.convert_to_numpy(value), "float64")
        for value in (norm.moving_mean, norm.moving_variance, norm.gamma, norm.beta)
    )
    slope = gamma / np.sqrt(old_variance + norm.epsilon)
    norm.gamma.assign(slope * np.sqrt(variance + norm.epsilon))
    norm.beta.assign(beta + slope * (mean - old_mean))
    norm.moving_mean.assign(mean)
    norm.moving_variance.assign(variance)
