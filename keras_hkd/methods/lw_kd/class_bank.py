"""ClassBank: a teacher's logits for instances of each class, to draw from."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_hkd.errors import InvalidValueError
from keras_hkd.tensors import Tensor

__all__ = ["ClassBank"]


@keras.saving.register_keras_serializable(package="keras_hkd")
class ClassBank(keras.layers.Layer):
    """Draws a teacher's logits for a random instance of the class of each image.

    The teacher does not see the images, so its instances may come from any dataset with the same
    number of classes. Logits and the state of the random generator are weights: they are
    checkpointed, and a resumed run continues the random sequence.

    Args:
        logits: float `(classes, instances, classes)`, the logits of the instances of each class.
        seed: seed of the draws.
        name: name of the layer.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: if the logits have another shape, or a class has no instance.

    Example:

    >>> bank = ClassBank(np.eye(3)[:, None] * 5.0, seed=0)
    >>> bank.draw(ops.array([2, 0])).numpy().tolist()
    [[0.0, 0.0, 5.0], [5.0, 0.0, 0.0]]
    """

    def __init__(self, logits: Any, seed: int = 0, name: str = "class_bank", **kwargs: Any) -> None:
        super().__init__(name=name, trainable=False, dtype="float32", **kwargs)
        values = np.asarray(logits, "float32")
        if values.ndim != 3 or values.shape[0] != values.shape[2] or not values.size:
            raise InvalidValueError(
                "Expected logits of shape (classes, instances, classes) with one instance or more. "
                f"Received: shape {values.shape}"
            )
        self.seed = int(seed)
        self.logits = self.add_weight(
            shape=values.shape, trainable=False, name="logits", initializer="zeros"
        )
        self.logits.assign(values)
        self.generator = keras.random.SeedGenerator(self.seed)
        self.built = True

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return self.logits.shape[0]

    def draw(self, classes: Tensor, training: bool = False) -> Tensor:
        """Draw the logits of one instance for each class.

        Args:
            classes: int `(batch,)`; the result for a class below 0 is arbitrary.
            training: True for random instances, False for fixed ones.

        Returns:
            float32 `(batch, classes)`, without gradient.
        """
        rows = ops.shape(classes)[0]
        instances = self.logits.shape[1]
        places = ops.arange(rows, dtype="int32") % instances
        if training:
            chance = keras.random.uniform((rows,), seed=self.generator)
            places = ops.minimum(ops.cast(chance * instances, "int32"), instances - 1)
        flat = ops.maximum(ops.cast(classes, "int32"), 0) * instances + places
        values = ops.reshape(ops.convert_to_tensor(self.logits), (-1, self.num_classes))
        return ops.stop_gradient(ops.take(values, flat, axis=0))

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "logits": ops.convert_to_numpy(self.logits).tolist(),
            "seed": self.seed,
        }
