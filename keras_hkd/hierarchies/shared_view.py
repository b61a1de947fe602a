"""Conversions between image sizes of teacher and student: of images, boxes and maps."""

from collections.abc import Sequence

from keras import ops

from keras_hkd.tensors import Tensor

PADDING_GREY = 114.0


def view_scale(image_size: Sequence[int], view_size: Sequence[int]) -> float:
    """Compute the largest scale at which the images of a batch fit into a view.

    Args:
        image_size: `(height, width)` of the batch.
        view_size: `(height, width)` of the view.

    Returns:
        Pixels of the view per pixel of the batch.

    Example:

    >>> view_scale((192, 192), (320, 384))
    1.6666666666666667
    """
    return min(view_size[0] / image_size[0], view_size[1] / image_size[1])


def resize_view(images: Tensor, view_size: Sequence[int]) -> Tensor:
    """Letterbox images to another size: content at the top left, grey padding.

    Args:
        images: `(batch, height, width, 3)`.
        view_size: `(height, width)`; images of this size are returned unchanged.

    Returns:
        `(batch, *view_size, 3)`.
    """
    image_size = tuple(images.shape[1:3])
    if image_size == tuple(view_size):
        return images
    content = content_size(image_size, view_size)
    images = _resized(ops.cast(images, "float32"), content)
    right, below = view_size[1] - content[1], view_size[0] - content[0]
    if right or below:
        padding = ((0, 0), (0, below), (0, right), (0, 0))
        images = ops.pad(images, padding, constant_values=PADDING_GREY)
    return images


def content_size(image_size: Sequence[int], view_size: Sequence[int]) -> tuple[int, ...]:
    """Compute `(height, width)` of the part of a view that shows the batch's images.

    Args:
        image_size: `(height, width)` of the batch.
        view_size: `(height, width)` of the view.

    Example:

    >>> content_size((192, 256), (320, 320))
    (240, 320)
    """
    scale = view_scale(image_size, view_size)
    return tuple(
        min(round(side * scale), limit) for side, limit in zip(image_size, view_size, strict=True)
    )


def content_map(
    features: Tensor, image_size: Sequence[int], view_size: Sequence[int], shape: Sequence[int]
) -> Tensor:
    """Resize a map of a view to the cells of a map of the batch.

    Cells that show padding are left out; the rest is resized, with antialiasing.

    Args:
        features: `(batch, h, w, channels)`, computed from the view.
        image_size: `(height, width)` of the batch.
        view_size: `(height, width)` of the view.
        shape: `(h, w)` of the result; a map of this shape is returned unchanged.

    Returns:
        `(batch, *shape, channels)`.
    """
    content = content_size(image_size, view_size)
    rows, columns = (
        max(1, round(cells * part / whole))
        for cells, part, whole in zip(features.shape[1:3], content, view_size, strict=True)
    )
    features = features[:, :rows, :columns]
    if (rows, columns) == tuple(shape):
        return features
    return _resized(features, shape)


def _resized(images: Tensor, size: Sequence[int]) -> Tensor:
    return ops.image.resize(
        images, size, interpolation="bilinear", antialias=True, data_format="channels_last"
    )
