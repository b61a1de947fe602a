"""A prediction head of any width, for RetinaNets smaller than the library's 256 channels."""

from typing import Any

import keras

__all__ = ["PredictionHead"]


@keras.saving.register_keras_serializable(package="keras_hkd")
class PredictionHead(keras.layers.Layer):
    """Convolutional tower shared by all pyramid levels, and the predicting convolution.

    The attributes `conv_layers` and `prediction_layer` are those of KerasCV's head, so that the
    tower's last hidden map can be read from either.

    Args:
        output_filters: anchors per cell times values per anchor.
        channels: width of the tower.
        num_conv_layers: depth of the tower.
        separable: depthwise separable convolutions in the tower.
        bias_value: constant that the predicting bias starts from: `log(p / (1 - p))` for a class
            head with prior probability p.

    Example:

    >>> PredictionHead(output_filters=9, channels=8)(keras.ops.ones((1, 4, 4, 8))).shape[-1]
    9
    """

    def __init__(
        self,
        output_filters: int,
        channels: int = 128,
        num_conv_layers: int = 3,
        separable: bool = False,
        bias_value: float | None = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_filters = output_filters
        self.channels = channels
        self.num_conv_layers = num_conv_layers
        self.separable = separable
        self.bias_value = bias_value
        convolution = keras.layers.SeparableConv2D if separable else keras.layers.Conv2D
        self.conv_layers = [
            convolution(channels, 3, padding="same", activation="relu")
            for _ in range(num_conv_layers)
        ]
        self.prediction_layer = keras.layers.Conv2D(
            output_filters,
            3,
            padding="same",
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            bias_initializer=keras.initializers.Constant(bias_value),
        )

    def build(self, input_shape: Any) -> None:
        shape = tuple(input_shape)
        for layer in self.conv_layers:
            layer.build(shape)
            shape = (*shape[:-1], self.channels)
        self.prediction_layer.build(shape)
        self.built = True

    def call(self, inputs: Any, training: bool | None = False) -> Any:
        x = inputs
        for layer in self.conv_layers:
            x = layer(x)
        return self.prediction_layer(x)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], self.output_filters)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "output_filters": self.output_filters,
            "channels": self.channels,
            "num_conv_layers": self.num_conv_layers,
            "separable": self.separable,
            "bias_value": self.bias_value,
        }
