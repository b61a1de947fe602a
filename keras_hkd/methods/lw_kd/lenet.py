"""LeNet-5, a small classifier for simple images."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_hkd.classifiers.classifier import Classifier
from keras_hkd.errors import InvalidValueError


def lenet(
    class_names: Sequence[str], *, image_size: Sequence[int] = (32, 32), seed: int | None = None
) -> Classifier:
    """Build LeNet-5 with ReLU and max pooling.

    It computes in float32. Its weights depend on the seed only; global generators do not change.

    Args:
        class_names: names of the classes, two or more.
        image_size: `(height, width)` in pixels, both at least 16.
        seed: seed of the initial weights; None for a random one.

    Returns:
        A `Classifier` of about 60,000 parameters at 32 x 32 pixels.

    Raises:
        ValueError: if there are fewer than two classes, or the images are too small.

    Example:

    >>> lenet([f"digit_{index}" for index in range(10)], seed=0).count_params()
    62006

    Reference:
        LeCun et al., Gradient-based learning applied to document recognition, 1998.
    """
    class_names = tuple(class_names)
    if min(image_size) < 16:
        raise InvalidValueError(f"lenet needs images of 16 pixels and more. Received: {image_size}")

    def weights(number: int) -> dict[str, Any]:
        own = None if seed is None else 8 * seed + number
        return {
            "kernel_initializer": keras.initializers.HeNormal(seed=own),
            "dtype": "float32",
        }

    def convolution(width: int, number: int) -> keras.layers.Layer:
        options = {"activation": "relu", "name": f"conv{number}", **weights(number)}
        return keras.layers.Conv2D(width, 5, **options)

    images = keras.Input((*image_size, 3), name="images")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0, dtype="float32", name="rescaling")(images)
    for number, width in enumerate((6, 16)):
        x = convolution(width, number)(x)
        x = keras.layers.MaxPooling2D(2, dtype="float32", name=f"pool{number}")(x)
    x = keras.layers.Flatten(dtype="float32", name="flatten")(x)
    for number, width in enumerate((120, 84), start=2):
        x = keras.layers.Dense(width, "relu", name=f"dense{number}", **weights(number))(x)
    x = keras.layers.Dense(len(class_names), name="logits", **weights(4))(x)
    model = keras.Model(images, x, name="model")
    return Classifier(model, class_names=class_names, image_size=image_size, name="lenet")
