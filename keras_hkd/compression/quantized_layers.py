"""Layers whose kernel is rounded as int8 does it, with BatchNorm folded into them."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_hkd.compression.fake_quantization import rounded_weights
from keras_hkd.tensors import Shape, Tensor


@keras.saving.register_keras_serializable(package="keras_hkd")
class QuantizedLayer(keras.layers.Layer):
    """A linear layer: `y = x * rounded(kernel * gamma * inverse_std) + bias`.

    `gamma` and `inverse_std` are there where a BatchNorm was folded in: its statistics stand still,
    its scale goes on training, and so do the kernel and what is now the bias. That is what the
    integer file computes, so nothing changes when it is written.

    Args:
        kernel_shape: shape of the kernel as Keras stores it.
        num_outputs: channels that come out.
        folded: whether a BatchNorm is folded in.
        strides: strides of a convolution, one number for each axis.
        padding: `"same"` or `"valid"`.
        dilation_rate: dilation rate of a convolution.
        rounded: whether the kernel is rounded; without it a float layer with its BatchNorm folded.
    """

    def __init__(
        self,
        kernel_shape: Sequence[int],
        num_outputs: int,
        folded: bool = False,
        strides: Any = (1, 1),
        padding: str = "valid",
        dilation_rate: Any = (1, 1),
        rounded: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.kernel_shape = tuple(kernel_shape)
        self.num_outputs = int(num_outputs)
        self.folded = bool(folded)
        self.strides = tuple(strides)
        self.padding = padding
        self.dilation_rate = tuple(dilation_rate)
        self.rounded = bool(rounded)

    def build(self, input_shape: Shape) -> None:
        self.kernel = self.add_weight(shape=self.kernel_shape, name="kernel")
        self.bias = self.add_weight(shape=(self.num_outputs,), initializer="zeros", name="bias")
        if self.folded:
            shape = (self.num_outputs,)
            self.gamma = self.add_weight(shape=shape, initializer="ones", name="gamma")
            self.inverse_std = self.add_weight(
                shape=shape, initializer="ones", trainable=False, name="inverse_std"
            )
        self.built = True

    def rounded_kernel(self, training: bool | None = False) -> Tensor:
        """Return the kernel, rounded if it is to be, in its shape; see `rounded_weights`."""
        rows = ops.reshape(self.kernel, (-1, self.num_outputs))
        if self.folded:
            rows = rows * (self.gamma * self.inverse_std)
        if self.rounded:
            rows = rounded_weights(rows, training)
        return ops.reshape(rows, self.kernel_shape)

    def call(self, inputs: Tensor, training: bool | None = False) -> Tensor:
        return self.product(inputs, self.rounded_kernel(training)) + self.bias

    def compute_output_spec(
        self, inputs: Tensor, training: bool | None = False
    ) -> keras.KerasTensor:
        kernel = keras.KerasTensor(self.kernel_shape, dtype=self.compute_dtype)
        output = self.product(keras.KerasTensor(inputs.shape, dtype=self.compute_dtype), kernel)
        return keras.KerasTensor(output.shape, dtype=self.compute_dtype)

    def product(self, inputs: Tensor, kernel: Any) -> Tensor:
        """Compute the product of inputs and kernel."""
        raise NotImplementedError(f"{type(self).__name__} must implement `product`.")

    def assign_values(self, kernel: Any, bias: Any = None, norm: Any = None) -> None:
        """Assign the weights of float layers.

        Args:
            kernel: array of `kernel_shape`.
            bias: array, or None for zeros.
            norm: the BatchNorm behind the layer, or None.
        """
        self.kernel.assign(kernel)
        bias = ops.zeros((self.num_outputs,)) if bias is None else ops.convert_to_tensor(bias)
        if norm is not None:
            gamma, inverse_std, shift = norm_values(norm, self.num_outputs)
            self.gamma.assign(gamma)
            self.inverse_std.assign(inverse_std)
            bias = bias * gamma * inverse_std + shift
        self.bias.assign(bias)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kernel_shape": self.kernel_shape,
            "num_outputs": self.num_outputs,
            "folded": self.folded,
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
            "rounded": self.rounded,
        }


@keras.saving.register_keras_serializable(package="keras_hkd")
class QuantizedConv2D(QuantizedLayer):
    """`Conv2D` with a rounded kernel `(height, width, in, out)`; see `QuantizedLayer`.

    Example:

    >>> QuantizedConv2D((1, 1, 3, 8), 8)(ops.ones((1, 4, 4, 3))).shape
    TensorShape([1, 4, 4, 8])
    """

    def product(self, inputs: Tensor, kernel: Any) -> Tensor:
        return ops.conv(
            inputs, kernel, self.strides, self.padding, dilation_rate=self.dilation_rate
        )


@keras.saving.register_keras_serializable(package="keras_hkd")
class QuantizedDepthwiseConv2D(QuantizedLayer):
    """`DepthwiseConv2D` with a rounded kernel `(height, width, in, multiplier)`.

    Example:

    >>> QuantizedDepthwiseConv2D((3, 3, 4, 1), 4)(ops.ones((1, 4, 4, 4))).shape
    TensorShape([1, 2, 2, 4])
    """

    def product(self, inputs: Tensor, kernel: Any) -> Tensor:
        return ops.depthwise_conv(
            inputs, kernel, self.strides, self.padding, dilation_rate=self.dilation_rate
        )


@keras.saving.register_keras_serializable(package="keras_hkd")
class QuantizedDense(QuantizedLayer):
    """`Dense` with a rounded kernel `(in, out)`; see `QuantizedLayer`.

    Example:

    >>> QuantizedDense((3, 2), 2)(ops.ones((1, 3))).shape
    TensorShape([1, 2])
    """

    def product(self, inputs: Tensor, kernel: Any) -> Tensor:
        return ops.matmul(inputs, kernel)


def norm_values(norm: Any, num_channels: int) -> tuple[Any, Any, Any]:
    """Return `gamma`, `1 / sqrt(variance + epsilon)` and the shift of a BatchNorm in inference.

    Args:
        norm: a built `keras.layers.BatchNormalization`.
        num_channels: number of channels of what it normalises.

    Returns:
        Three tensors `(num_channels,)` with `norm(x) = x * gamma * inverse_std + shift`.
    """
    gamma = ops.ones((num_channels,)) if norm.gamma is None else ops.convert_to_tensor(norm.gamma)
    beta = ops.zeros((num_channels,)) if norm.beta is None else ops.convert_to_tensor(norm.beta)
    inverse_std = ops.rsqrt(ops.convert_to_tensor(norm.moving_variance) + norm.epsilon)
    return gamma, inverse_std, beta - norm.moving_mean * gamma * inverse_std
