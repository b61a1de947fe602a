"""Builders of named classifiers with random weights."""

import os
from collections.abc import Sequence

import keras

from keras_hkd.batch_norm import synchronize_batch_norm
from keras_hkd.classifiers.catalogue import CATALOGUE
from keras_hkd.classifiers.classifier import Classifier
from keras_hkd.mobilenet_v2 import mobilenet_v2_base
from keras_hkd.named_builders import builder, load_builder
from keras_hkd.tensors import Tensor


def _cnn(num_classes: int, widths: Sequence[int]) -> keras.Model:
    """Build residual 3x3 convolutions; `widths` are channels at strides 2, 4, 8, 16 and 32."""
    images = keras.Input((None, None, 3), name="images")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(images)
    x = _convolution(x, widths[0], 2, "stem")
    for stage, width in enumerate(widths[1:], start=2):
        x = _convolution(x, width, 2, f"stage{stage}_down")
        y = _convolution(x, width, 1, f"stage{stage}_block")
        x = keras.layers.Add(name=f"stage{stage}")([x, y])
    return _with_head(images, x, num_classes)


def _convolution(x: Tensor, width: int, strides: int, name: str) -> Tensor:
    x = keras.layers.Conv2D(
        width, 3, strides=strides, padding="same", use_bias=False, name=f"{name}_conv"
    )(x)
    x = keras.layers.BatchNormalization(momentum=0.97, epsilon=1e-3, name=f"{name}_bn")(x)
    return keras.layers.Activation("swish", name=name)(x)


def _mobilenet_v2(num_classes: int, alpha: float, weights: str | os.PathLike | None) -> keras.Model:
    base = mobilenet_v2_base(alpha, weights)
    images = keras.Input((None, None, 3), name="images")
    features = base(keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(images))
    return _with_head(images, features, num_classes)


def _with_head(images: Tensor, features: Tensor, num_classes: int) -> keras.Model:
    x = keras.layers.GlobalAveragePooling2D(name="pool")(features)
    return keras.Model(images, keras.layers.Dense(num_classes, name="logits")(x), name="model")


@builder(about="smallest student, 0.03 M parameters, no pretrained backbone")
def cnn_micro(num_classes: int) -> keras.Model:
    """Build a CNN of 8 to 32 channels."""
    return _cnn(num_classes, (8, 12, 16, 24, 32))


@builder(about="compact student, 0.25 M parameters, no pretrained backbone")
def cnn_small(num_classes: int) -> keras.Model:
    """Build a CNN of 16 to 96 channels."""
    return _cnn(num_classes, (16, 32, 48, 64, 96))


@builder(about="teacher for small images, 1.1 M parameters, no pretrained backbone")
def cnn_large(num_classes: int) -> keras.Model:
    """Build a CNN of 32 to 208 channels."""
    return _cnn(num_classes, (32, 64, 96, 128, 208))


@builder(
    about="compact student whose backbone a detector can take: MobileNetV2 0.35",
    name="mobilenet_v2_0.35",
)
def mobilenet_v2_compact(
    num_classes: int, backbone_weights: str | os.PathLike | None = None
) -> keras.Model:
    """Build MobileNetV2 0.35."""
    return _mobilenet_v2(num_classes, 0.35, backbone_weights)


@builder(about="teacher on a CPU: MobileNetV2 1.0", name="mobilenet_v2_1.0")
def mobilenet_v2(
    num_classes: int, backbone_weights: str | os.PathLike | None = None
) -> keras.Model:
    """Build MobileNetV2 1.0."""
    return _mobilenet_v2(num_classes, 1.0, backbone_weights)


def names() -> dict[str, str]:
    """Return the names that `build` takes, each with a short description.

    Example:

    >>> "cnn_micro" in names()
    True
    """
    return {name: row.about for name, row in CATALOGUE.items()}


def build(
    name: str,
    *,
    class_names: Sequence[str],
    image_size: Sequence[int] = (64, 64),
    backbone_weights: str | os.PathLike | None = None,
    synchronized: bool = False,
    seed: int | None = None,
) -> Classifier:
    """Build a named classifier with random weights.

    Args:
        name: one of `names()`.
        class_names: names of the classes, two or more.
        image_size: default `(height, width)` of images in pixels.
        backbone_weights: path of ImageNet weights, or of a file of `save_backbone`, for a
            MobileNetV2.
        synchronized: whether BatchNorm statistics are shared by the replicas of a `tf.distribute`
            strategy.
        seed: seed of the initial weights, set by `keras.utils.set_random_seed`; None does not
            change the global generators.

    Returns:
        A `Classifier`.

    Raises:
        ValueError: if the name is unknown, or the backbone takes no `backbone_weights`.

    Example:

    >>> classifier = build("cnn_micro", class_names=("cat", "dog", "person"))
    >>> classifier.levels
    ('C2', 'C3', 'C4', 'C5')
    """
    make = load_builder(CATALOGUE, name, "classifier", backbone_weights)
    if seed is not None:
        keras.utils.set_random_seed(seed)
    class_names = tuple(class_names)
    classifier = Classifier(
        make(len(class_names)),
        class_names=class_names,
        image_size=image_size,
        name=name.replace(".", "_"),
    )
    if synchronized:
        synchronize_batch_norm(classifier)
    return classifier
