"""ContextBlock: adds the global context of a map to each of its positions (GCNet)."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_hkd.losses import positions
from keras_hkd.tensors import Tensor


@keras.saving.register_keras_serializable(package="keras_hkd")
class ContextBlock(keras.layers.Layer):
    """Adds an attention-weighted mean over all positions to each position of a map.

    `R(F) = F + W2 relu(norm(W1 sum_j softmax_j(w F_j) F_j))`. W1 reduces to half the width, norm is
    over channels, and W2 restores the width; W2 starts at zero, so a new block is the identity.

    Args:
        **kwargs: arguments of `keras.layers.Layer`.

    Example:

    >>> features = keras.random.normal((1, 4, 4, 6), seed=0)
    >>> bool(ops.all(ContextBlock()(features) == features))
    True

    Reference:
        Cao et al., "GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond",
        https://arxiv.org/abs/1904.11492; its use in FGD: https://arxiv.org/abs/2111.11837
    """

    def build(self, input_shape: Sequence[Any]) -> None:
        channels, hidden = input_shape[-1], max(1, input_shape[-1] // 2)

        def dense(units: int, name: str, **kwargs: Any) -> keras.layers.Layer:
            return keras.layers.Dense(units, dtype=self.dtype_policy, name=name, **kwargs)

        self.attention = dense(1, "attention", kernel_initializer="he_normal")
        self.squeeze = dense(hidden, "squeeze")
        self.norm = keras.layers.LayerNormalization(
            epsilon=1e-5, dtype=self.dtype_policy, name="norm"
        )
        self.expand = dense(channels, "expand", kernel_initializer="zeros")
        self.attention.build((None, channels))
        self.squeeze.build((None, channels))
        self.norm.build((None, hidden))
        self.expand.build((None, hidden))
        self.built = True

    def call(self, features: Tensor, weights: Tensor | None = None) -> Tensor:
        """Add the context of each image to its positions.

        Args:
            features: (batch, h, w, channels).
            weights: (batch, h, w, 1), 0 for positions that are left out; `None` for ones.

        Returns:
            A tensor of the shape of `features`.
        """
        if weights is None:
            weights = ops.ones_like(features[..., :1])
        flat = positions.flatten(features)
        scores = positions.log_softmax(self.attention(flat), positions.flatten(weights)[..., 0])
        context = ops.sum(ops.exp(scores) * flat, axis=1)[:, None, None, :]
        return features + self.expand(ops.relu(self.norm(self.squeeze(context))))
