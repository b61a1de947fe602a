"""BatchNormalization: TensorFlow's fused kernel for it, and statistics over all replicas."""

from __future__ import annotations

import types

import keras
from keras import ops

from keras_hkd.tensors import Tensor


def fuse_batch_norm(model: keras.Model) -> None:
    """Make the BatchNormalization layers of a model run as one operation of TensorFlow.

    Keras 3 composes the layer of some ten operations, each a pass over the map in both directions;
    TensorFlow's fused kernel gives the same output, gradients and moving statistics in a third of
    the time. Files, names and configurations of the layers stay as they are. On other backends
    nothing changes.

    Args:
        model: its layers are changed in place; those that the kernel does not serve (another axis,
            no scale or shift, `synchronized`, `renorm`) stay Keras's own.
    """
    if keras.backend.backend() != "tensorflow":
        return
    for layer in model._flatten_layers():
        if type(layer) is keras.layers.BatchNormalization and "call" not in vars(layer):
            layer.call = types.MethodType(_fused_call, layer)


def synchronize_batch_norm(model: keras.Model) -> None:
    """Make every BatchNormalization of a model average its statistics over all replicas.

    On JAX they do so by themselves: a step there is a function of the whole batch, however many
    devices compute it.

    Args:
        model: its layers are changed in place.
    """
    if keras.backend.backend() == "jax":
        return
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True


def _fused_call(
    self: keras.layers.BatchNormalization,
    inputs: Tensor,
    training: bool | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Run `BatchNormalization.call` on the fused kernel, where that computes the same."""
    training = bool(training) and self.trainable
    fits = (
        len(inputs.shape) == 4
        and self.axis in (-1, 3)
        and self.scale
        and self.center
        and mask is None
        and not (training and (self.synchronized or self.renorm))
    )
    if not fits:
        return type(self).call(self, inputs, training=training, mask=mask)
    import tensorflow as tf

    x = ops.cast(inputs, "float32")
    gamma, beta, moving_mean, moving_variance = (
        ops.convert_to_tensor(value, "float32")
        for value in (self.gamma, self.beta, self.moving_mean, self.moving_variance)
    )
    statistics = {} if training else {"mean": moving_mean, "variance": moving_variance}
    outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
        x, gamma, beta, epsilon=self.epsilon, is_training=training, **statistics
    )
    if training:
        count = ops.cast(ops.prod(ops.shape(x)[:-1]), "float32")
        variance *= (count - 1.0) / count  # the kernel divides by one less, Keras does not
        past, new = self.momentum, 1.0 - self.momentum
        self.moving_mean.assign(moving_mean * past + mean * new)
        self.moving_variance.assign(moving_variance * past + variance * new)
    return ops.cast(outputs, self.compute_dtype)
