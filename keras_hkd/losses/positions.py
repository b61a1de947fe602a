"""Functions over the weighted positions of maps, shared by spatial losses.

A mask acts as repetition: a position of weight 2 counts as two, one of weight 0 is left out.
"""

from keras import ops

from keras_hkd.replicas import expand_to_rank
from keras_hkd.tensors import Tensor


def flatten(features: Tensor) -> Tensor:
    """Flatten a map to a list of positions.

    Args:
        features: tensor (batch, ..., channels) of at least three axes.

    Returns:
        (batch, positions, channels).

    Example:

    >>> tuple(flatten(ops.zeros((2, 4, 5, 3))).shape)
    (2, 20, 3)
    """
    shape = ops.shape(features)
    positions = 1
    for size in shape[1:-1]:
        positions *= size
    return ops.reshape(features, (shape[0], positions, shape[-1]))


def flat_weights(mask: Tensor | None, features: Tensor) -> Tensor:
    """Expand a mask on leading axes to weights of all positions.

    Args:
        mask: weights on the leading axes of `features`, without its channels; `None` for ones.
        features: tensor (batch, ..., channels) of at least three axes.

    Returns:
        float32 (batch, positions).

    Example:

    >>> [float(x) for x in flat_weights(ops.array([0.0, 1.0]), ops.zeros((2, 2, 3)))[1]]
    [1.0, 1.0]
    """
    ones = ops.ones_like(features[..., :1])
    weights = ones if mask is None else ones * expand_to_rank(mask, features.ndim)
    return flatten(weights)[..., 0]


def mean(features: Tensor, weights: Tensor) -> Tensor:
    """Compute the weighted mean of each image over its positions.

    Args:
        features: (batch, positions, channels).
        weights: (batch, positions).

    Returns:
        (batch, channels); 0 for images without positions.

    Example:

    >>> [float(x) for x in mean(ops.array([[[1.0], [4.0]]]), ops.array([[1.0, 2.0]]))[0]]
    [3.0]
    """
    count = ops.sum(weights, axis=1, keepdims=True)
    return ops.sum(features * weights[..., None], axis=1) / ops.where(count > 0, count, 1.0)


def log_softmax(logits: Tensor, weights: Tensor) -> Tensor:
    """Compute the logarithm of the weighted softmax over positions.

    Args:
        logits: (batch, positions, channels).
        weights: (batch, positions).

    Returns:
        (batch, positions, channels); about -1e30 where the weight is 0.

    Example:

    >>> values = log_softmax(ops.zeros((1, 3, 1)), ops.array([[1.0, 1.0, 0.0]]))
    >>> round(float(ops.exp(values[0, 0, 0])), 4), float(ops.exp(values[0, 2, 0]))
    (0.5, 0.0)
    """
    present = weights > 0
    offsets = ops.where(present, ops.log(ops.where(present, weights, 1.0)), -1e30)
    return ops.log_softmax(logits + offsets[..., None], axis=1)


def image_weights(weights: Tensor) -> Tensor:
    """Compute the weight of each image, the largest weight of its positions.

    Args:
        weights: (batch, positions).

    Returns:
        (batch,).

    Example:

    >>> float(image_weights(ops.array([[0.0, 1.0]]))[0])
    1.0
    """
    return ops.max(weights, axis=1, initial=0.0)
