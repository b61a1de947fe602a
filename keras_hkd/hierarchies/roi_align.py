"""RoIAlign as matrix products: differentiable and deterministic on every backend."""

from collections.abc import Sequence

from keras import ops

from keras_hkd.tensors import Tensor


def roi_align(
    features: Tensor,
    boxes: Tensor,
    stride: float,
    output_size: int = 7,
    samples_per_bin: int = 2,
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

    Returns:
        `(batch, regions, output_size, output_size, channels)` in the dtype of `features`.

    Example:

    >>> tuple(roi_align(ops.ones((1, 8, 8, 3)), ops.array([[[0.0, 0.0, 16.0, 32.0]]]), 8).shape)
    (1, 1, 7, 7, 3)

    Reference:
        Mask R-CNN, https://arxiv.org/abs/1703.06870.
    """
    rows, columns = _weights(features, boxes, stride, output_size, samples_per_bin)
    return _interpolated(features, rows, columns)


def roi_align_of_levels(
    maps: Sequence[Tensor],
    boxes: Tensor,
    strides: Sequence[float],
    chosen: Sequence[Tensor],
    output_size: int = 7,
    samples_per_bin: int = 2,
) -> Tensor:
    """Reads every region from one of several maps, as `roi_align` does.

    The maps are laid below one another in one map as wide as the widest, whose rows a region
    weighs with 0 but for those of its own level. So the products, and the features of regions,
    which are far larger than all maps together, are computed once and not for every level.

    Args:
        maps: one `(batch, height, width, channels)` for each level, of one width in channels.
        boxes: `(batch, regions, 4)` xyxy in pixels of the image.
        strides: of each level, pixels between cells of the map.
        chosen: of each level, `(batch, regions)`, 1 for regions that are read from it and 0 for
            others; a region that no level reads is 0.
        output_size: number of bins along each side.
        samples_per_bin: number of samples along each side of a bin.

    Returns:
        `(batch, regions, output_size, output_size, channels)` in the dtype of the maps.

    Example:

    >>> maps = [ops.ones((1, 8, 8, 3)), 2 * ops.ones((1, 4, 4, 3))]
    >>> boxes = ops.array([[[0.0, 0.0, 16.0, 32.0], [8.0, 8.0, 24.0, 32.0]]])
    >>> chosen = [ops.array([[1.0, 0.0]]), ops.array([[0.0, 1.0]])]
    >>> roi_align_of_levels(maps, boxes, (8, 16), chosen)[0, :, 0, 0, 0].numpy().tolist()
    [1.0, 2.0]
    """
    widest = max(features.shape[2] for features in maps)
    below, rows, columns = [], [], []
    bins = (output_size, samples_per_bin)
    for features, stride, here in zip(maps, strides, chosen, strict=True):
        row, column = _weights(features, boxes, stride, *bins)
        here = here[..., None, None]
        rows.append(here * row)
        missing = (0, widest - features.shape[2])
        columns.append(ops.pad(here * column, ((0, 0), (0, 0), (0, 0), missing)))
        below.append(ops.pad(features, ((0, 0), (0, 0), missing, (0, 0))))
    return _interpolated(ops.concatenate(below, 1), ops.concatenate(rows, -1), sum(columns))


def mean_squares_of_levels(
    maps: Sequence[Tensor],
    boxes: Tensor,
    strides: Sequence[float],
    chosen: Sequence[Tensor],
    output_size: int = 7,
    samples_per_bin: int = 2,
) -> Tensor:
    """Compute the mean square of the features that `roi_align_of_levels` reads.

    Features are weighted sums of cells, so their squares are a quadratic form of the map. On small
    maps, up to some 24 x 24 cells, its matrix is multiplied once and no feature is computed,
    forward or backward; which is cheaper is known from the shapes.

    Args:
        maps: one `(batch, height, width, channels)` for each level, of one width in channels.
        boxes: `(batch, regions, 4)` xyxy in pixels of the image.
        strides: of each level, pixels between cells of the map.
        chosen: of each level, `(batch, regions)`, 1 for regions that are read from it and 0 for
            others; no region is read from two.
        output_size: number of bins along each side.
        samples_per_bin: number of samples along each side of a bin.

    Returns:
        `(batch,)` float32: the mean over channels, bins and the image's chosen regions; 0 of none.

    Example:

    >>> maps = [3 * ops.ones((1, 8, 8, 2))]
    >>> boxes = ops.array([[[0.0, 0.0, 16.0, 32.0]]])
    >>> round(float(mean_squares_of_levels(maps, boxes, [8], [ops.ones((1, 1))])[0]), 4)
    9.0
    """
    bins = (output_size, samples_per_bin)
    if _form_is_cheaper(maps, boxes.shape[1], output_size):
        sums = 0.0
        for features, stride, here in zip(maps, strides, chosen, strict=True):
            rows, columns = _weights(features, boxes, stride, *bins)
            sums += _quadratic_form(features, here[..., None, None] * rows, columns)
        sums = sums / (output_size**2 * maps[0].shape[-1])
    else:
        features = roi_align_of_levels(maps, boxes, strides, chosen, *bins)
        squares = ops.square(ops.cast(features, "float32"))
        sums = ops.sum(ops.mean(squares, axis=(2, 3, 4)), axis=1)
    return sums / ops.maximum(ops.sum(sum(chosen), axis=1), 1.0)


def _form_is_cheaper(maps: Sequence[Tensor], num_regions: int | None, bins: int) -> bool:
    """Whether the matrices of the form cost less than features, forward and backward.

    Per channel, features take `regions * bins * rows * width` products twice, at half the speed,
    their matrices being narrow; the form takes `cells^2` once.
    """
    if num_regions is None:
        return False
    rows, widest = sum(one.shape[1] for one in maps), max(one.shape[2] for one in maps)
    form = sum((one.shape[1] * one.shape[2]) ** 2 for one in maps)
    return form <= 4 * num_regions * bins * rows * widest


def _quadratic_form(features: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Sum the squares of all features of regions: `(batch,)` float32."""
    _, height, width, channels = features.shape
    rows, columns = _products_of_weights(rows), _products_of_weights(columns)
    matrix = ops.matmul(ops.swapaxes(rows, -1, -2), columns)
    matrix = ops.reshape(matrix, (-1, height, height, width, width))
    matrix = ops.transpose(matrix, (0, 1, 3, 2, 4))
    matrix = ops.reshape(matrix, (-1, height * width, height * width))
    # In float32: of many small regions in one place a product may exceed what float16 holds.
    cells = ops.cast(ops.reshape(features, (-1, height * width, channels)), "float32")
    product = ops.stop_gradient(ops.matmul(matrix, cells))
    form = ops.sum(cells * product, axis=(1, 2))
    # The matrix is symmetric: the gradient is twice the product, which is there already.
    return 2.0 * form - ops.stop_gradient(form)


def _products_of_weights(weights: Tensor) -> Tensor:
    """Sum over bins the products of the weights of two cells: `(batch, regions, cells^2)`."""
    batch, regions, _, cells = ops.shape(weights)
    products = ops.matmul(ops.swapaxes(weights, -1, -2), weights)
    return ops.reshape(products, (batch, regions, cells * cells))


def _weights(
    features: Tensor, boxes: Tensor, stride: float, bins: int, samples: int
) -> tuple[Tensor, Tensor]:
    """Compute the weights of a map's rows and of its columns in each bin."""
    height, width = features.shape[1:3]
    rows = _interpolation(boxes[..., 1], boxes[..., 3], height, stride, bins, samples)
    columns = _interpolation(boxes[..., 0], boxes[..., 2], width, stride, bins, samples)
    return rows, columns


def _interpolated(features: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Multiplies a map by weights `(batch, regions, bins, height)` and those of its width."""
    _, height, width, channels = features.shape
    batch, regions, bins = ops.shape(rows)[:3]
    rows, columns = ops.cast(rows, features.dtype), ops.cast(columns, features.dtype)
    # Plain matrix products in the layout of the result: einsum would transpose the large
    # intermediate tensor, which takes three times as long.
    rows = ops.reshape(rows, (batch, regions * bins, height))
    strips = ops.matmul(rows, ops.reshape(features, (batch, height, width * channels)))
    strips = ops.reshape(strips, (batch, regions, bins, width, channels))
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
