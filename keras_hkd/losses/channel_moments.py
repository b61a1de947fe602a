"""Mean and standard deviation of each channel over the whole batch, and standardised tensors."""

from collections.abc import Sequence

from keras import ops

from keras_hkd.replicas import expand_to_rank, sum_over_replicas
from keras_hkd.tensors import Tensor


def channel_moments(
    tensors: Sequence[Tensor],
    mask: Tensor | None = None,
    *,
    epsilon: float,
    constant_means: bool = False,
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Compute the moments of the channels of several tensors, over all axes but the last.

    Deviations are unbiased (n - 1). Under `tf.distribute` moments are those of the whole batch; all
    tensors are measured together, so that replicas exchange few messages.

    Args:
        tensors: list of tensors (batch, ..., channels) of one shape.
        mask: weights on their leading axes; `None` for ones. Positions of weight 0 are left out.
        epsilon: positive number; a channel whose deviation is at most `epsilon` counts as constant.
        constant_means: whether to stop the gradient through the means. For a loss whose gradient
            along the means is 0, such as the squared difference of standardised tensors, this
            halves the time of a step and changes nothing else.

    Returns:
        `(means, centred, deviations)`, lists in the order of the tensors: means (channels,),
        tensors minus their means, and deviations (channels,), which are 0 and without gradient for
        constant channels.

    Example:

    >>> means, _, deviations = channel_moments([ops.array([[1.0], [3.0]])], epsilon=1e-6)
    >>> float(means[0][0]), round(float(deviations[0][0]), 4)
    (2.0, 1.4142)
    """
    weights = ops.ones_like(tensors[0][..., :1])
    if mask is not None:
        weights = weights * expand_to_rank(mask, tensors[0].ndim)

    def sums(xs: Sequence[Tensor]) -> Tensor:
        xs = xs if mask is None else [x * weights for x in xs]
        return sum_over_replicas(ops.stack([_sum_by_channel(x) for x in xs]))

    total, squares = ops.unstack(
        sum_over_replicas(ops.stack([ops.sum(weights), ops.sum(ops.square(weights))]))
    )
    # Centred twice: after one pass the rounding of the mean would make a constant channel vary.
    centred, means = list(tensors), 0.0
    for _ in range(2):
        step = sums(centred) / _positive_or_one(total)
        step = ops.stop_gradient(step) if constant_means else step
        means += step
        centred = [x - mean for x, mean in zip(centred, _rows(step, tensors), strict=True)]
    # For weights 0 and 1 this is n - 1; it does not depend on the scale of the weights.
    freedom = total - squares / _positive_or_one(total)
    variances = sums([ops.square(x) for x in centred]) / _positive_or_one(freedom)
    varies = variances > epsilon**2
    deviations = ops.where(varies, ops.sqrt(ops.where(varies, variances, 1.0)), 0.0)
    return _rows(means, tensors), centred, _rows(deviations, tensors)


def standardised(
    tensors: Sequence[Tensor],
    mask: Tensor | None = None,
    *,
    epsilon: float = 1e-6,
    constant_means: bool = False,
) -> list[Tensor]:
    """Standardise the channels of tensors: `(X - mean) / (deviation + epsilon)`.

    Args:
        tensors: list of tensors (batch, ..., channels) of one shape.
        mask: see `channel_moments`.
        epsilon: see `channel_moments`.
        constant_means: see `channel_moments`.

    Returns:
        A list of tensors. Constant channels become 0 and pass no gradient, which would be of the
        size of 1 / epsilon.

    Example:

    >>> [float(x) for x in standardised([ops.array([[5.0], [5.0]])])[0][:, 0]]
    [0.0, 0.0]
    """
    _, centred, deviations = channel_moments(
        tensors, mask, epsilon=epsilon, constant_means=constant_means
    )
    return [
        x * ops.where(deviation > 0, 1.0 / (deviation + epsilon), 0.0)
        for x, deviation in zip(centred, deviations, strict=True)
    ]


def _rows(stacked: Tensor, tensors: Sequence[Tensor]) -> list[Tensor]:
    return ops.unstack(stacked, len(tensors))


def _sum_by_channel(x: Tensor) -> Tensor:
    # Axis by axis: the rounding error grows with the longest axis, not the number of positions.
    for _ in range(x.ndim - 1):
        x = ops.sum(x, axis=0)
    return x


def _positive_or_one(x: Tensor) -> Tensor:
    return ops.where(x > 0, x, 1.0)
