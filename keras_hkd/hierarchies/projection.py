"""Adapters from the student's width to the teacher's."""

import keras


def projection(student_channels, teacher_channels, name):
    """A built 1x1 convolution, the adapter of FitNets (https://arxiv.org/abs/1412.6550).

    It serves maps `(batch, height, width, channels)` and, being a product over the last axis,
    vectors and region features as well.

    Args:
        student_channels: width it reads.
        teacher_channels: width it gives.
        name: of the layer.

    Returns:
        A `keras.layers.Dense` over the last axis: the same thing as a 1x1 convolution.

    Example:
    >>> projection(8, 16, "projection")(keras.ops.ones((1, 4, 4, 8))).shape[-1]
    16
    """
    layer = keras.layers.Dense(teacher_channels, name=name)
    layer.build((None, student_channels))
    return layer
