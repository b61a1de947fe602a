"""Builds the MobileNetV2 backbone of detectors and classifiers."""

import os

import keras


def mobilenet_v2_base(alpha: float, weights: str | os.PathLike | None = None) -> keras.Model:
    """Build the convolutions of `keras.applications.MobileNetV2`, for images of any size.

    The moving statistics of batch normalization have a momentum of 0.97 instead of 0.999, so that
    they follow a fine-tuning of a few thousand steps.

    Args:
        alpha: width multiplier: 0.35, 0.5, 0.75, 1.0, 1.3 or 1.4.
        weights: path of a file of Keras's ImageNet weights (`include_top=False`); None for
            random weights.

    Returns:
        A model from images `(batch, height, width, 3)` in [-1, 1] to a map of stride 32.

    Example:

    >>> mobilenet_v2_base(0.35).output_shape
    (None, None, None, 1280)
    """
    base = keras.applications.MobileNetV2(
        input_shape=(None, None, 3),
        alpha=alpha,
        include_top=False,
        weights=None if weights is None else str(weights),
        name=f"mobilenet_v2_{alpha}",
    )
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.97
    return base
