"""The share of each term of the loss in the gradient of the student."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from keras_hkd.checks import require_tensorflow
from keras_hkd.tensors import Tensor

if TYPE_CHECKING:
    from keras_hkd.distillation.distiller import Distiller


def gradient_shares(distiller: Distiller, images: Tensor, labels: Any) -> dict[str, float]:
    """Computes the norm of each weighted term's gradient, as a share of their sum.

    `share_i = |w_i dL_i/dtheta| / sum_j |w_j dL_j/dtheta|`, theta the student's trainable weights.
    Use it to choose weights: a term with a share near 0 has no effect, and one near 1 leaves none
    to the others. No weight, statistic or step count changes.

    Args:
        distiller: a `Distiller`.
        images: `(batch, height, width, 3)` in [0, 255].
        labels: dict of `boxes` and `classes`.

    Returns:
        dict of floats by the name of the term, which sum to 1.

    Raises:
        ValueError: if the backend is not TensorFlow.
    """
    require_tensorflow("gradient_shares")
    import tensorflow as tf

    variables = [v.value for v in distiller.student.trainable_variables]
    images = tf.convert_to_tensor(images)

    @tf.function
    def norms() -> list[Tensor]:
        with tf.GradientTape(persistent=True) as tape:
            outputs = distiller(images, training=False)
            terms = distiller.compute_terms(images, labels, outputs)
            weighted = [
                weight * value
                for weight, value in zip(distiller.term_weights(), terms.values(), strict=True)
            ]
        names.extend(terms)
        gradients = [tape.gradient(term, variables) for term in weighted]
        return [tf.linalg.global_norm([g for g in each if g is not None]) for each in gradients]

    names: list[str] = []
    values = [float(value) for value in norms()]
    total = sum(values) or 1.0
    return {name: value / total for name, value in zip(names[: len(values)], values, strict=True)}


class GradientShares(keras.callbacks.Callback):
    """Callback that logs `<term>_gradient_share` of every term.

    Args:
        images: the batch `(batch, height, width, 3)` on which shares are measured.
        labels: its labels.
        every: number of epochs between measurements.
    """

    def __init__(self, images: Tensor, labels: Any, every: int = 1) -> None:
        super().__init__()
        self.images, self.labels, self.every = images, labels, every

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if logs is None or (epoch + 1) % self.every:
            return
        shares = gradient_shares(self.model, self.images, self.labels)
        logs.update({f"{name}_gradient_share": share for name, share in shares.items()})
