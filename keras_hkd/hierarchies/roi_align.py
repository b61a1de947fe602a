"""RoIAlign as matrix products: differentiable and deterministic on every backend."""

from keras import ops

from keras_hkd.tensors import Tensor


def roi_align(
    features: Tensor,
    boxes: Tensor,
    stride: float,
    output_size: int = 7,
    samples_per_bin: int = 2,
    weights: Tensor | None = None,
) -> Tensor:
    """Average bilinear samples in every bin of a grid over each region.

    Bilinear interpolation and the sampling grid are both separable, so with interpolation matrices
    `V (bins, height)` and `H (bins, width)` the region is `V F H^T`. There is no gather, whose
    gradient is a scatter with an order of addition that varies on a GPU.

    Args:
        features: `(batch, height, width, channels)`.
        boxes: `(batch, regions, 4)` xyxy in pixels of the image.
        stride: pixels between cells of the map.
        output_size: number of bins along each side.
        samples_per_bin: number of samples along each side of a bin.
        weights: `(batch, regions)`, what the features of each region are multiplied by, at next to
            no cost; None for 1.

    Returns:
        `(batch, regions, output_size, output_size, channels)` in the dtype of `features`.

    Example:

    >>> tuple(roi_align(ops.ones((1, 8, 8, 3)), ops.array([[[0.0, 0.0, 16.0, 32.0]]]), 8).shape)
    (1, 1, 7, 7, 3)

    Reference:
        Mask R-CNN, https://arxiv.org/abs/1703.06870.
    """
    _, height, width, channels = features.shape
    batch, regions = ops.shape(boxes)[:2]
    rows = _interpolation(
        boxes[..., 1], boxes[..., 3], height, stride, output_size, samples_per_bin
    )
    columns = _interpolation(
        boxes[..., 0], boxes[..., 2], width, stride, output_size, samples_per_bin
    )
    if weights is not None:
        rows *= weights[..., None, None]
    rows, columns = ops.cast(rows, features.dtype), ops.cast(columns, features.dtype)
    # Plain matrix products in the layout of the result: einsum would transpose the large
    # intermediate tensor, which takes three times as long.
    rows = ops.reshape(rows, (batch, regions * output_size, height))
    strips = ops.matmul(rows, ops.reshape(features, (batch, height, width * channels)))
    strips = ops.reshape(strips, (batch, regions, output_size, width, channels))
    return ops.matmul(columns[:, :, None], strips)


def _interpolation(
    start: Tensor, stop: Tensor, num_cells: int, stride: float, bins: int, samples: int
) -> Tensor:
    """Compute the weight of each cell in each bin, `(batch, regions, bins, num_cells)`."""
    steps = (ops.arange(bins * samples, dtype="float32") + 0.5) / (bins * samples)
    positions = start[..., None] + (stop - start)[..., None] * steps
    positions = ops.clip(positions / stride - 0.5, 0.0, num_cells - 1.0)
    cells = ops.arange(num_cells, dtype="float32")
    weights = ops.relu(1.0 - ops.abs(positions[..., None] - cells))
    batch, regions = ops.shape(start)[:2]
    return ops.mean(ops.reshape(weights, (batch, regions, bins, samples, num_cells)), axis=3)
