"""Spatial and channel attention of feature maps, as FGD and FBKD define them."""

from keras import ops

from keras_hkd.losses import positions
from keras_hkd.tensors import Tensor


def spatial_attention(features: Tensor, weights: Tensor, temperature: float) -> Tensor:
    """Compute the attention of each position: 1 everywhere on a constant map.

    `A = n softmax over positions of mean_c |F| / temperature`, n positions.

    Args:
        features: (batch, positions, channels).
        weights: (batch, positions); a position of weight 2 counts as two, one of weight 0 is left
            out.
        temperature: positive number.

    Returns:
        (batch, positions), with a weighted mean of 1.

    Example:

    >>> a = spatial_attention(ops.array([[[3.0], [-3.0]]]), ops.ones((1, 2)), 0.5)
    >>> [round(float(x), 4) for x in a[0]]
    [1.0, 1.0]
    """
    strength = ops.mean(ops.abs(features), axis=-1, keepdims=True) / temperature
    # A position of weight 2 is two positions, each of which has half of the softmax.
    inverse = ops.where(weights > 0, 1.0 / ops.where(weights > 0, weights, 1.0), 0.0)
    shares = ops.exp(positions.log_softmax(strength, weights))[..., 0] * inverse
    return shares * ops.sum(weights, axis=1, keepdims=True)


def channel_attention(features: Tensor, weights: Tensor, temperature: float) -> Tensor:
    """Compute the attention of each channel: 1 for all if they are equally strong.

    `A = C softmax over channels of mean_ij |F| / temperature`, C channels.

    Args:
        features: (batch, positions, channels).
        weights: (batch, positions).
        temperature: positive number.

    Returns:
        (batch, channels), with a mean of 1.

    Example:

    >>> a = channel_attention(ops.ones((1, 4, 2)), ops.ones((1, 4)), 0.5)
    >>> [round(float(x), 4) for x in a[0]]
    [1.0, 1.0]
    """
    means = positions.mean(ops.abs(features), weights)
    num_channels = ops.cast(ops.shape(features)[-1], "float32")
    return ops.softmax(means / temperature, axis=-1) * num_channels
