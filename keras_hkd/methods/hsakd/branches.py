"""Auxiliary branches from the map of a stage to logits of class and rotation."""

import keras

from keras_hkd.tensors import Tensor

STYLES = ("copied", "light")


def branch(network: keras.Model, level: str, num_logits: int, style: str = "copied") -> keras.Model:
    """Build the branch of one stage of a classifier, with new weights.

    Style `copied` is the paper's: copies of all layers between this stage and the last one, so that
    every branch ends at the width and depth of the network. If a shortcut bypasses the map of the
    stage, the network cannot be split there, and the branch is `light`. Style `light` is ours and
    suits any network: one separable convolution per remaining stage, with its stride and width. At
    the deepest stage both styles are one residual separable block of its width (a reconstruction:
    the paper repeats the last stage with stride 1). BatchNorm, ReLU, the mean over the map and a
    dense layer follow.

    Args:
        network: network of a `Classifier`, with `stages` among its outputs.
        level: the stage that the branch reads, such as `"C3"`.
        num_logits: number of classes times rotations.
        style: `"copied"` or `"light"`.

    Returns:
        A functional model from a map to `(batch, num_logits)`.
    """
    stages = network.output["stages"]
    deepest = list(stages)[-1]
    body = None
    if style == "copied" and level != deepest:
        body = _copy(stages[level], stages[deepest])
    if body is None:
        return light_branch({name: x.shape[-1] for name, x in stages.items()}, level, num_logits)
    features = keras.Input(stages[level].shape[1:])
    return _with_head(features, body(features), level, num_logits)


def light_branch(widths: dict[str, int], level: str, num_logits: int) -> keras.Model:
    """Build a branch of separable convolutions; see `branch`.

    Args:
        widths: dict from the level of a stage, finest first, to its channels. Levels end in log2 of
            the stride.
        level: the stage that the branch reads.
        num_logits: number of classes times rotations.

    Returns:
        A functional model from a map to `(batch, num_logits)`.

    Example:

    >>> model = light_branch({"C3": 8, "C4": 16, "C5": 24}, "C4", 12)
    >>> tuple(model(keras.ops.ones((2, 6, 6, 16))).shape)
    (2, 12)
    """
    levels = list(widths)
    features = keras.Input((None, None, widths[level]))
    x = features
    for here, following in zip(levels, levels[1:], strict=False):
        if levels.index(here) >= levels.index(level):
            strides = 2 ** (_number(following) - _number(here))
            x = _separable(x, widths[following], strides, f"to_{following.lower()}")
    if level == levels[-1]:
        x = keras.layers.Add(name="add")([x, _separable(x, widths[level], 1, "block")])
    return _with_head(features, x, level, num_logits)


def _copy(start: Tensor, stop: Tensor) -> keras.Model | None:
    """Copy the layers between two maps; return None if a shortcut bypasses the first."""
    try:
        return keras.models.clone_model(keras.Model(start, stop))
    except ValueError:
        return None


def _number(level: str) -> int:
    return int(level[1:])


def _with_head(features: Tensor, x: Tensor, level: str, num_logits: int) -> keras.Model:
    x = keras.layers.BatchNormalization(momentum=0.97, epsilon=1e-3, name="head_bn")(x)
    x = keras.layers.ReLU(name="head_relu")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    logits = keras.layers.Dense(num_logits, name="logits")(x)
    return keras.Model(features, logits, name=f"branch_{level.lower()}")


def _separable(x: Tensor, width: int, strides: int, name: str) -> Tensor:
    x = keras.layers.DepthwiseConv2D(
        3, strides=strides, padding="same", use_bias=False, name=f"{name}_depthwise"
    )(x)
    x = keras.layers.BatchNormalization(momentum=0.97, epsilon=1e-3, name=f"{name}_depthwise_bn")(x)
    x = keras.layers.Conv2D(width, 1, use_bias=False, name=f"{name}_conv")(x)
    x = keras.layers.BatchNormalization(momentum=0.97, epsilon=1e-3, name=f"{name}_bn")(x)
    return keras.layers.Activation("swish", name=name)(x)
