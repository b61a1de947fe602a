"""MobileNetV2 as both detectors and classifiers take it."""

import keras


def mobilenet_v2_base(alpha, weights=None):
    """The convolutions of `keras.applications.MobileNetV2`, for images in [-1, 1] of any size.

    Batch statistics move with momentum 0.97 instead of 0.999, so that they follow a fine-tuning of
    a few thousand steps.

    Args:
        alpha: width multiplier: 0.35, 0.5, 0.75, 1.0, 1.3 or 1.4.
        weights: path of a file of Keras's ImageNet weights (`include_top=False`), or None.

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
