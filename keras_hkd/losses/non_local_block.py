"""NonLocalBlock: relations between all positions of a map (Wang et al.)."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_hkd.checks import whole
from keras_hkd.tensors import Tensor


@keras.saving.register_keras_serializable(package="keras_hkd")
class NonLocalBlock(keras.layers.Layer):
    """Adds to each position a mean of all positions, weighted by their similarity.

    `R(F)_i = F_i + W sum_j (theta(F_i) . phi(F_j)) g(F_j) / n`, over the n positions of an image;
    theta, phi and g reduce to `channels / reduction`, and W restores the width. W starts at zero,
    so a new block is the identity. Without a softmax the sum over j is one small matrix per image,
    so time and memory are linear in n.

    Args:
        reduction: whole number of at least 1, ratio of the width to the width inside.
        **kwargs: arguments of `keras.layers.Layer`.

    Example:

    >>> features = keras.random.normal((1, 4, 4, 6), seed=0)
    >>> bool(ops.all(NonLocalBlock()(features) == features))
    True

    Reference:
        Wang et al., "Non-local Neural Networks", CVPR 2018, https://arxiv.org/abs/1711.07971 (the
        dot-product form)
    """

    def __init__(self, *, reduction: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reduction = whole("reduction", reduction, low=1)

    def build(self, input_shape: Sequence[Any]) -> None:
        channels = input_shape[-1]
        hidden = max(1, channels // self.reduction)

        def dense(name: str, inputs: int, outputs: int, initializer: Any) -> keras.layers.Layer:
            layer = keras.layers.Dense(
                outputs, kernel_initializer=initializer, dtype=self.dtype_policy, name=name
            )
            layer.build((None, inputs))
            return layer

        def small() -> keras.initializers.Initializer:
            return keras.initializers.RandomNormal(stddev=0.01)

        self.theta = dense("theta", channels, hidden, small())
        self.phi = dense("phi", channels, hidden, small())
        self.g = dense("g", channels, hidden, small())
        self.back = dense("back", hidden, channels, "zeros")
        self.built = True

    def call(self, features: Tensor, weights: Tensor | None = None) -> Tensor:
        """Add the relations to a map.

        Args:
            features: (batch, h, w, channels).
            weights: (batch, h, w, 1), 0 for positions that are left out; `None` for ones.

        Returns:
            A tensor of the shape of `features`.
        """
        if weights is None:
            weights = ops.ones_like(features[..., :1])
        count = ops.sum(weights, axis=(1, 2))[..., None]
        pairs = ops.einsum("nijp,nijq->npq", self.phi(features), self.g(features) * weights)
        pairs /= ops.where(count > 0, count, 1.0)
        return features + self.back(ops.einsum("nijp,npq->nijq", self.theta(features), pairs))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "reduction": self.reduction}
