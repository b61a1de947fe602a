"""Average pooling to a given number of cells, which need not divide the map."""

from collections.abc import Sequence

import numpy as np
from keras import ops

from keras_hkd.tensors import Tensor


def adaptive_mean(features: Tensor, size: Sequence[int]) -> Tensor:
    """Average a map over bins: bin i of n covers the cells floor(i h / n) to ceil((i + 1) h / n).

    Args:
        features: (batch, h, w, channels) of known height and width.
        size: (rows, columns), at most (h, w).

    Returns:
        (batch, rows, columns, channels).

    Example:

    >>> float(adaptive_mean(ops.reshape(ops.arange(4.0), (1, 2, 2, 1)), (1, 1))[0, 0, 0, 0])
    1.5
    """
    for axis, cells in zip((1, 2), size, strict=True):
        features = _pool(features, axis, cells)
    return features


def _pool(features: Tensor, axis: int, size: int) -> Tensor:
    cells = features.shape[axis]
    if cells == size:
        return features
    bins = np.zeros((size, cells), "float32")
    for index in range(size):
        start, stop = index * cells // size, -(-(index + 1) * cells // size)
        bins[index, start:stop] = 1.0 / (stop - start)
    return ops.moveaxis(ops.tensordot(ops.array(bins), features, axes=[[1], [axis]]), 0, axis)
