"""Class frequencies among the nearest neighbours of vectors."""

from keras import ops

from keras_hkd.replicas import replica_offset
from keras_hkd.tensors import Tensor

# Above this number of differences, distances are computed row by row to save memory.
_MOST_AT_ONCE = 2**25


def others_than(vectors: Tensor, references: Tensor) -> Tensor:
    """Tell which references are other vectors than each of this replica's.

    Args:
        vectors: `(rows, width)`.
        references: `gather_over_replicas(vectors)`, and any more after them.

    Returns:
        `(rows, references)` bool.
    """
    own = ops.arange(ops.shape(vectors)[0]) + replica_offset(vectors)
    return own[:, None] != ops.arange(ops.shape(references)[0])[None]


def neighbour_labels(
    vectors: Tensor,
    references: Tensor,
    classes: Tensor,
    usable: Tensor,
    num_classes: int,
    num_neighbours: Tensor,
    most: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Estimate the class posterior of vectors by k nearest neighbours: `s_c = k_c / k`.

    k-NN density estimation uses the ball of the k nearest references around a vector; with k_c of
    them of class c, `p(y | c) P(c) / p(y) = k_c / k`, as volume and counts cancel. Distances are
    Euclidean. Among references at equal distance the first ones are nearer, so that the result is
    deterministic. If fewer than k references are usable, all are used.

    Args:
        vectors: float32 `(rows, width)`.
        references: float32 `(references, width)`.
        classes: `(references,)` whole numbers in [0, num_classes), arbitrary if not usable.
        usable: `(rows, references)` bool, the references that may be neighbours of each row.
        num_classes: number of classes.
        num_neighbours: k, an int or a scalar int32 tensor.
        most: upper bound of k if that is a tensor.

    Returns:
        Soft labels float32 `(rows, num_classes)`, multiples of 1/k that sum to 1, and
        `(rows,)` bool: rows that have a neighbour; others have zeros.

    Example:

    >>> points = ops.array([[0.0], [1.0], [2.0], [9.0]])
    >>> others = ops.logical_not(ops.eye(4, dtype="bool"))
    >>> labels, _ = neighbour_labels(points, points, ops.array([0, 0, 1, 1]), others, 2, 2)
    >>> labels[0].numpy().tolist()
    [0.5, 0.5]
    """
    count = references.shape[0]
    most = num_neighbours if most is None else most
    if count is not None:
        most = min(most, count)
    else:  # padded, so that there are at least `most` references for top_k
        references = ops.pad(references, [[0, most], [0, 0]])
        classes, usable = ops.pad(classes, [[0, most]]), ops.pad(usable, [[0, 0], [0, most]])
    nearness = ops.where(usable, -squared_distances(vectors, references), -float("inf"))
    _, places = ops.top_k(nearness, most)
    available = ops.sum(ops.cast(usable, "int32"), axis=1)
    taken = ops.minimum(available, ops.cast(num_neighbours, "int32"))
    counts = ops.cast(ops.arange(most)[None] < taken[:, None], "float32")
    of_class = ops.one_hot(ops.take(classes, places), num_classes, dtype="float32")
    frequencies = ops.sum(of_class * counts[..., None], axis=1)
    k = ops.cast(ops.maximum(taken, 1), "float32")
    return frequencies / k[:, None], taken > 0


def squared_distances(vectors: Tensor, references: Tensor) -> Tensor:
    """Compute squared Euclidean distances from differences, exactly 0 for equal vectors.

    Args:
        vectors: float32 `(rows, width)`.
        references: float32 `(references, width)`.

    Returns:
        float32 `(rows, references)`.

    Example:

    >>> squared_distances(ops.array([[3.0, 4.0]]), ops.zeros((1, 2))).numpy().tolist()
    [[25.0]]
    """

    def from_one(vector: Tensor) -> Tensor:
        return ops.sum(ops.square(vector - references), axis=-1)

    rows, count, width = vectors.shape[0], references.shape[0], references.shape[1]
    if (rows or 64) * (count or 64) * width > _MOST_AT_ONCE:
        return ops.map(from_one, vectors)
    return ops.sum(ops.square(vectors[:, None] - references[None]), axis=-1)
