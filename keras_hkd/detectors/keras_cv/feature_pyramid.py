"""A feature pyramid of any width, for RetinaNets smaller than the library's 256 channels."""

from typing import Any

import keras
from keras import ops

from keras_hkd.errors import InvalidValueError
from keras_hkd.tensors import Tensor

__all__ = ["FeaturePyramid"]


@keras.saving.register_keras_serializable(package="keras_hkd")
class FeaturePyramid(keras.layers.Layer):
    """Top-down pyramid P3 to P7 over backbone maps C3 to C5 (Lin et al., 2017).

    `P_l = conv3x3(conv1x1(C_l) + upsample(P_{l+1}))` for l = 3, 4, 5;
    `P6 = conv3x3/2(C5)`, `P7 = conv3x3/2(relu(P6))`.

    Args:
        channels: width of every level.
        num_levels: 3 (P3 to P5), 4 or 5 (P3 to P7).

    Example:

    >>> pyramid = FeaturePyramid(channels=16)
    >>> maps = {"P3": ops.ones((1, 8, 8, 4)), "P4": ops.ones((1, 4, 4, 4)),
    ...         "P5": ops.ones((1, 2, 2, 4))}
    >>> [tuple(level.shape) for level in pyramid(maps)][:2]
    [(1, 8, 8, 16), (1, 4, 4, 16)]
    """

    def __init__(self, channels: int = 128, num_levels: int = 5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if num_levels not in (3, 4, 5):
            raise InvalidValueError(
                f"`num_levels` must be 3, 4 or 5. Received: num_levels={num_levels}"
            )
        self.channels = channels
        self.num_levels = num_levels
        self.lateral = [keras.layers.Conv2D(channels, 1) for _ in range(3)]
        self.output_convolutions = [
            keras.layers.Conv2D(channels, 3, padding="same") for _ in range(3)
        ]
        self.coarser = [
            keras.layers.Conv2D(channels, 3, strides=2, padding="same")
            for _ in range(num_levels - 3)
        ]
        self.upsample = keras.layers.UpSampling2D(2)

    def build(self, input_shape: Any) -> None:
        own = (None, None, None, self.channels)
        for level, lateral, output in zip(
            ("P3", "P4", "P5"), self.lateral, self.output_convolutions, strict=True
        ):
            lateral.build(input_shape[level])
            output.build(own)
        for index, layer in enumerate(self.coarser):
            layer.build(own if index else input_shape["P5"])
        self.built = True

    def call(self, inputs: Any, training: bool | None = False) -> tuple[Tensor, ...]:
        c3, c4, c5 = (
            lateral(inputs[level])
            for level, lateral in zip(("P3", "P4", "P5"), self.lateral, strict=True)
        )
        c4 = c4 + self.upsample(c5)
        c3 = c3 + self.upsample(c4)
        levels = [
            output(x) for output, x in zip(self.output_convolutions, (c3, c4, c5), strict=True)
        ]
        x = inputs["P5"]
        for index, layer in enumerate(self.coarser):
            x = layer(ops.relu(x) if index else x)
            levels.append(x)
        return tuple(levels)

    def compute_output_shape(self, input_shape: Any) -> Any:
        shapes = [(*input_shape[level][:-1], self.channels) for level in ("P3", "P4", "P5")]
        height, width = input_shape["P5"][1:3]
        for _ in self.coarser:
            height = None if height is None else -(-height // 2)
            width = None if width is None else -(-width // 2)
            shapes.append((input_shape["P5"][0], height, width, self.channels))
        return tuple(shapes)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "channels": self.channels,
            "num_levels": self.num_levels,
        }
