"""Attention of a feature map: how strongly each position and each channel speaks (FGD, FBKD)."""

from keras import ops

from keras_hkd.losses import positions
from keras_hkd.tensors import Tensor


def spatial_attention(features: Tensor, weights: Tensor, temperature: float) -> Tensor:
    """How much stronger a position is than the others: 1 everywhere on a flat map.

    `A = n softmax over positions of mean_c |F| / temperature`, n positions.

    Args:
        features: (batch, positions, channels).
        weights: (batch, positions); a position of weight 2 is two positions, one of 0 is not there.
        temperature: positive number.

    Returns:
        (batch, positions); its mean over positions, by their weights, is 1.

    Example:

    >>> a = spatial_attention(ops.array([[[3.0], [-3.0]]]), ops.ones((1, 2)), 0.5)
    >>> [round(float(x), 4) for x in a[0]]
    [1.0, 1.0]
    """
    strength = ops.mean(ops.abs(features), axis=-1, keepdims=True) / temperature
    # Each position's own share: a position of weight 2 is two positions, each with one share.
    alone = ops.where(weights > 0, 1.0 / ops.where(weights > 0, weights, 1.0), 0.0)
    shares = ops.exp(positions.log_softmax(strength, weights))[..., 0] * alone
    return shares * ops.sum(weights, axis=1, keepdims=True)


def channel_attention(features: Tensor, weights: Tensor, temperature: float) -> Tensor:
    """How much stronger a channel is than the others: 1 for all where they are alike.

    `A = C softmax over channels of mean_ij |F| / temperature`, C channels.

    Args:
        features: (batch, positions, channels).
        weights: (batch, positions).
        temperature: positive number.

    Returns:
        (batch, channels), of mean 1.

    Example:

    >>> a = channel_attention(ops.ones((1, 4, 2)), ops.ones((1, 4)), 0.5)
    >>> [round(float(x), 4) for x in a[0]]
    [1.0, 1.0]
    """
    means = positions.mean(ops.abs(features), weights)
    num_channels = ops.cast(ops.shape(features)[-1], "float32")
    return ops.softmax(means / temperature, axis=-1) * num_channels
