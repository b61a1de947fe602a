"""Means over the whole batch when `tf.distribute` splits it over replicas.

Keras averages the losses of the replicas, each computed on its own share of the batch. A loss that
divides by something that it counts (unmasked positions, people, teacher confidence) would divide by
its own share's count, and two replicas would then take another step than one device on the same
batch. The functions here make each replica return a share whose mean over replicas is the loss of
the whole batch.

Keras sums the replicas' gradients, and its own `Loss` objects divide themselves by the number of
replicas. Whoever adds one of these shares to a model's total loss has to do the same:
`total += share / num_replicas()`.

On other backends than TensorFlow, outside `strategy.run` and with one replica they change nothing.
Like every collective operation they must be reached by all replicas: never call them inside a
`cond` or a `while_loop`.
"""

import math
from typing import Any

import keras
from keras import ops

from keras_hkd.errors import InvalidValueError
from keras_hkd.tensors import Tensor


def num_replicas() -> int:
    """Count the replicas that share the batch: 1 outside `tf.distribute.Strategy.run`.

    Returns:
        A Python int.

    Example:

    >>> num_replicas()
    1
    """
    context = _replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def sum_over_replicas(x: Tensor) -> Tensor:
    """Sum a tensor over all replicas, so that a count or a moment is that of the whole batch.

    Gradients pass through: the gradient of the mean of the replicas' losses stays exact for
    statistics (such as a standard deviation) that are themselves differentiated.

    Args:
        x: tensor of the same shape on every replica.

    Returns:
        A tensor like `x`: the sum over replicas, or `x` itself where there is only one.

    Example:

    >>> float(sum_over_replicas(3.0))
    3.0
    """
    context = _replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return x
    import tensorflow as tf

    return context.all_reduce(tf.distribute.ReduceOp.SUM, x)


def gather_over_replicas(x: Tensor) -> Tensor:
    """Concatenate the rows of all replicas: the batch as it was before the split.

    Args:
        x: tensor `(rows, ...)`, with as many rows on every replica. Gradients do not pass through.

    Returns:
        A tensor `(replicas * rows, ...)`, or `x` itself where there is only one replica.

    Example:

    >>> gather_over_replicas(ops.ones((2, 3))).shape[0]
    2
    """
    context = _replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return x
    return context.all_gather(ops.stop_gradient(x), axis=0)


def replica_offset(x: Tensor) -> Tensor:
    """Return the index at which this replica's rows begin in `gather_over_replicas`.

    Args:
        x: the tensor that is gathered.

    Returns:
        An int or a scalar int32 tensor.

    Example:

    >>> replica_offset(ops.ones((2, 3)))
    0
    """
    context = _replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return 0
    return ops.cast(context.replica_id_in_sync_group, "int32") * ops.shape(x)[0]


def weighted_mean(values: Tensor, weights: Tensor = None) -> Tensor:
    """Compute this replica's share of the mean over the whole batch.

    `num_replicas * sum(values * weights here) / sum(weights on all replicas)`: the mean over
    replicas of this is the weighted mean over the whole batch, also when the replicas' totals
    differ or one of them has none. The totals carry no gradient. Values of weight 0 are not read:
    they may be infinite or NaN.

    Args:
        values: tensor (d1, ..., dk, ...), any unit.
        weights: non-negative tensor (d1, ..., dk), the leading axes of `values`; over the trailing
            axes the plain mean is taken. `None` is the plain mean over everything.

    Returns:
        A float32 scalar; 0 where the weights sum to 0 or there are no values.

    Raises:
        ValueError: the shape of `weights` is not the leading axes of `values`.

    Example:

    >>> float(weighted_mean([1.0, 2.0, 6.0], [1.0, 1.0, 0.0]))
    1.5
    """
    values = _as_float32(values)
    if weights is None:
        return _plain_mean(values)
    weights = ops.stop_gradient(_as_float32(weights))
    check_leading_axes(weights, values, name="weights")
    trailing = tuple(range(weights.ndim, values.ndim))
    if trailing:
        values = ops.mean(values, axis=trailing)
    values = ops.where(weights > 0, values, 0.0)
    return global_ratio(ops.sum(values * weights), ops.sum(weights))


def weighted_mean_square(values: Tensor, weights: Tensor = None) -> Tensor:
    """Compute this replica's share of the mean square over the whole batch.

    It is `weighted_mean(ops.square(values), weights)` in fewer passes over the memory, forward and
    backward, which is most of what comparing large maps costs.

    Args:
        values: tensor (d1, ..., dk, ...), any unit.
        weights: non-negative tensor (d1, ..., dk), as of `weighted_mean`; `None` for none.

    Returns:
        A float32 scalar; 0 where the weights sum to 0 or there are no values.

    Raises:
        ValueError: the shape of `weights` is not the leading axes of `values`.

    Example:

    >>> float(weighted_mean_square([1.0, 2.0, 6.0], [1.0, 1.0, 0.0]))
    2.5
    """
    values = _as_float32(values)
    if weights is None:
        return global_ratio(_sum_of_squares(values), ops.size(values))
    weights = ops.stop_gradient(_as_float32(weights))
    check_leading_axes(weights, values, name="weights")
    of_rows = expand_to_rank(weights, values.ndim)
    rows = ops.where(of_rows > 0, values, 0.0) * ops.sqrt(of_rows)
    trailing = math.prod(ops.shape(values)[weights.ndim :])
    return global_ratio(_sum_of_squares(rows), ops.sum(weights) * ops.cast(trailing, "float32"))


def global_ratio(numerator: Tensor, denominator: Tensor, minimum: float | None = None) -> Tensor:
    """Compute this replica's share of `sum(numerators) / sum(denominators)` over replicas.

    Args:
        numerator: scalar of this replica, differentiated.
        denominator: non-negative scalar of this replica; carries no gradient.
        minimum: lower bound for the denominator summed over replicas. `None`: the ratio is 0 where
            that sum is 0.

    Returns:
        A float32 scalar whose mean over replicas is the ratio of the sums.

    Example:

    >>> float(global_ratio(1.0, 0.5, minimum=1.0))
    1.0
    """
    numerator = _as_float32(numerator)
    total = ops.stop_gradient(sum_over_replicas(_as_float32(denominator)))
    if minimum is None:
        ratio = ops.where(total > 0, numerator, 0.0) / ops.where(total > 0, total, 1.0)
    else:
        ratio = numerator / ops.maximum(total, minimum)
    return ratio * num_replicas()


def check_leading_axes(weights: Tensor, values: Tensor, name: str = "mask") -> None:
    """Refuse weights that would broadcast over anything but the trailing axes of `values`.

    Args:
        weights: tensor or anything with a `shape`.
        values: tensor or anything with a `shape`.
        name: what the message calls the weights.

    Raises:
        ValueError: a static dimension of `weights` differs from that of `values`, or there are more
            of them.

    Example:

    >>> check_leading_axes(ops.ones((2, 5)), ops.ones((2, 5, 3)))
    """
    shape, values_shape = tuple(weights.shape), tuple(values.shape)
    fits = len(shape) <= len(values_shape) and all(
        a == b for a, b in zip(shape, values_shape, strict=False) if None not in (a, b)
    )
    if not fits:
        raise InvalidValueError(
            f"`{name}` must have the leading axes of the tensors that it weighs (it is spread over "
            f"their trailing axes only): for tensors of shape {values_shape} "
            f"for instance {values_shape[:-1]}. "
            f"Received: {name} of shape {shape}. Drop its last axis or broadcast it yourself."
        )


def expand_to_rank(weights: Tensor, rank: int) -> Tensor:
    """Append axes of length 1, so that weights on leading axes multiply a tensor of `rank` axes.

    Args:
        weights: tensor of at most `rank` axes.
        rank: number of axes of the values.

    Returns:
        The weights with `rank` axes.

    Example:

    >>> tuple(expand_to_rank(ops.ones((2, 5)), 4).shape)
    (2, 5, 1, 1)
    """
    for _ in range(rank - weights.ndim):
        weights = ops.expand_dims(weights, -1)
    return weights


def _as_float32(x: Tensor) -> Tensor:
    return ops.cast(ops.convert_to_tensor(x), "float32")


def _sum_of_squares(values: Tensor) -> Tensor:
    """Sum the squares of all values: on TensorFlow one operation, whose gradient is one more."""
    if keras.backend.backend() != "tensorflow":
        return ops.sum(ops.square(values))
    import tensorflow as tf

    return 2.0 * tf.nn.l2_loss(values)


def _plain_mean(values: Tensor) -> Tensor:
    if num_replicas() == 1:
        size = _static_size(values)
        if size is None:
            return ops.where(ops.size(values) > 0, ops.mean(values), 0.0)
        return ops.mean(values) if size else ops.sum(values)
    return global_ratio(ops.sum(values), ops.size(values))


def _static_size(values: Tensor) -> int | None:
    shape = tuple(values.shape)
    return None if None in shape else math.prod(shape)


def _replica_context() -> Any:
    """Return the context of `tf.distribute`; None outside a replica and on other backends."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    return tf.distribute.get_replica_context()
