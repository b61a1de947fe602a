"""Selection of the best boxes of each image."""

from keras import ops

from keras_hkd.tensors import Tensor


def best_boxes(boxes: Tensor, scores: Tensor, limit: int) -> tuple[Tensor, Tensor]:
    """Select the boxes of highest score of each image; among equal scores the first ones.

    Args:
        boxes: `(batch, n, 4)`, or with further columns; n may be unknown, for instance if labels
            are padded batch by batch.
        scores: `(batch, n)`, at least 0; 0 for padding.
        limit: largest number of boxes per image.

    Returns:
        `boxes (batch, m, 4)` and `chosen (batch, m)` bool, False if fewer boxes score above 0; m is
        `limit`, or n if that is known to be smaller.

    Example:

    >>> boxes = ops.reshape(ops.arange(12.0), (1, 3, 4))
    >>> found, chosen = best_boxes(boxes, ops.array([[0.2, 0.0, 0.9]]), 2)
    >>> [float(x) for x in found[0, :, 0]], bool(ops.all(chosen))
    ([8.0, 0.0], True)
    """
    known = scores.shape[1]
    if known is None:  # padded, so that there are at least `limit` boxes
        boxes = ops.pad(boxes, ((0, 0), (0, limit), (0, 0)))
        scores = ops.pad(scores, ((0, 0), (0, limit)))
    scores, indices = ops.top_k(scores, limit if known is None else min(limit, known))
    return ops.take_along_axis(boxes, indices[..., None], axis=1), scores > 0
