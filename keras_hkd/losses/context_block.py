"""ContextBlock: what a map says as a whole, added to each of its positions (GCNet)."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_hkd")
class ContextBlock(keras.layers.Layer):
    """Relations between all positions of a map, at the price of one weighted mean.

    `R(F) = F + W2 relu(norm(W1 sum_j softmax_j(w F_j) F_j))`, W1 to half the width, norm over
    channels, W2 back and zero at the start, so that a new block is the identity.

    Args:
        **kwargs: of `keras.layers.Layer`.

    Example:

    >>> features = keras.random.normal((1, 4, 4, 6), seed=0)
    >>> bool(ops.all(ContextBlock()(features) == features))
    True

    Reference:
        Cao et al., "GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond",
        https://arxiv.org/abs/1904.11492; its use in FGD: https://arxiv.org/abs/2111.11837
    """

    def build(self, input_shape):
        channels, hidden = input_shape[-1], max(1, input_shape[-1] // 2)

        def dense(units, name, **kwargs):
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

    def call(self, features, weights=None):
        """Add the context of each image to its positions.

        Args:
            features: (batch, h, w, channels).
            weights: (batch, h, w, 1), 0 where a position is not there; `None` for ones.

        Returns:
            A tensor like `features`.
        """
        scores = self.attention(features)
        if weights is not None:
            present = weights > 0
            scores += ops.where(present, ops.log(ops.where(present, weights, 1.0)), -1e30)
        height, width = ops.shape(features)[1:3]
        shares = ops.exp(ops.log_softmax(ops.reshape(scores, (-1, height * width)), axis=-1))
        shares = ops.reshape(shares, (-1, height, width, 1))
        context = ops.sum(shares * features, axis=(1, 2), keepdims=True)
        return features + self.expand(ops.relu(self.norm(self.squeeze(context))))
