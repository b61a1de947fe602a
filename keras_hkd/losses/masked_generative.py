"""MaskedGenerative: restores the teacher's map from a masked map of the student (MGD)."""

from typing import Any

import keras
from keras import ops

from keras_hkd.checks import in_range, whole
from keras_hkd.errors import InvalidValueError
from keras_hkd.losses import positions
from keras_hkd.losses.learnable_loss import LearnableLoss
from keras_hkd.replicas import global_ratio
from keras_hkd.tensors import Shape, Tensor

__all__ = ["MaskedGenerative"]


@keras.saving.register_keras_serializable(package="keras_hkd")
class MaskedGenerative(LearnableLoss):
    """Computes the masked generative distillation loss (MGD).

    Random cells of the student's map are hidden, and a small network, trained with the student,
    generates the teacher's whole map from the rest. With M random, 0 with probability
    `hidden_fraction` for each cell and equal over channels, and G a 3x3 convolution, ReLU and
    another 3x3 convolution,

        loss = 1 / N sum (T - G(M S))^2

    summed over cells and channels and averaged over images, so it grows with map and width.
    Published weights of the term: 2e-5 with hidden fraction 0.65 for one-stage detectors, 5e-7 with
    0.45 for two-stage ones. The loss is not 0 at a copy, as G has to be trained.

    The hidden cells follow from `seed` and the number of calls in training; with `training=False`
    (`evaluate`) they are always the same, and no state changes.

    The call takes `teacher` and `student`, maps (batch, h, w, channels) of one shape; `training`,
    optional; and `mask`, weights of the cells (batch, ...) without the channels.

    Args:
        hidden_fraction: in [0, 1), fraction of the cells that are hidden.
        seed: whole number, seed of the hidden cells.

    Raises:
        ValueError: if the fraction is not in [0, 1).

    Example:

    >>> features = keras.random.normal((1, 4, 4, 2), seed=0)
    >>> loss = MaskedGenerative()
    >>> evaluated = [float(loss(features, features, training=False)) for _ in range(2)]
    >>> evaluated[0] == evaluated[1] > 0
    True

    Reference:
        Yang et al., "Masked Generative Distillation", ECCV 2022, https://arxiv.org/abs/2205.01529
    """

    uses = ("training",)
    compares = ("features",)
    min_rank = max_rank = 4
    weighs_cells = True

    def __init__(self, *, hidden_fraction: float = 0.65, seed: int = 0) -> None:
        super().__init__()
        self.hidden_fraction = in_range("hidden_fraction", hidden_fraction, high=1.0)
        if self.hidden_fraction == 1:
            raise InvalidValueError(
                "`hidden_fraction` must be below 1: nothing of the student would be left. "
                f"Received: {hidden_fraction}."
            )
        self.seed = whole("seed", seed)

    def make_layers(
        self, teacher_channels: int, student_channels: int
    ) -> dict[str, keras.layers.Layer]:
        generator = FeatureGenerator(
            teacher_channels,
            hidden_fraction=self.hidden_fraction,
            seed=self.seed,
            dtype="float32",
            name="generator",
        )
        generator.build((None, None, None, student_channels))
        return {"generator": generator}

    def compute(
        self, teacher: Tensor, student: Tensor, mask: Tensor | None, training: bool = True
    ) -> Tensor:
        """Compute the mean over images of the summed squared differences to the generated map.

        Args:
            teacher: float32 map without gradient, (batch, h, w, channels).
            student: float32 map of the same shape.
            mask: float32 weights on leading axes, or `None`.
            training: whether the next call hides other cells.

        Returns:
            A float32 scalar.
        """
        generated = self.layers["generator"](student, training=training)
        squares = ops.sum(positions.flatten(ops.square(teacher - generated)), axis=-1)
        weights = positions.flat_weights(mask, student)
        return global_ratio(ops.sum(squares * weights), ops.sum(positions.image_weights(weights)))

    def get_config(self) -> dict[str, Any]:
        return {"hidden_fraction": self.hidden_fraction, "seed": self.seed}


@keras.saving.register_keras_serializable(package="keras_hkd")
class FeatureGenerator(keras.layers.Layer):
    """Hides random cells of a map and generates a whole map from the rest: the G of MGD.

    Args:
        channels: width of the result.
        hidden_fraction: fraction of the cells that are hidden.
        seed: seed of the hidden cells.
        **kwargs: arguments of `keras.layers.Layer`.

    Example:

    >>> FeatureGenerator(5, hidden_fraction=0.5)(ops.ones((1, 4, 4, 2))).shape[-1]
    5
    """

    def __init__(
        self, channels: int, *, hidden_fraction: float, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.channels = channels
        self.hidden_fraction = hidden_fraction
        self.seed = seed
        self.random = keras.random.SeedGenerator(seed)

    def build(self, input_shape: Shape) -> None:
        def convolution(name: str) -> keras.layers.Layer:
            return keras.layers.Conv2D(
                self.channels, 3, padding="same", dtype=self.dtype_policy, name=name
            )

        self.first, self.second = convolution("first"), convolution("second")
        self.first.build(input_shape)
        self.second.build((*input_shape[:-1], self.channels))
        self.built = True

    def call(self, features: Tensor, training: bool = False) -> Tensor:
        """Generate the map.

        Args:
            features: (batch, h, w, channels).
            training: whether the next call hides other cells.

        Returns:
            (batch, h, w, `channels` of this layer).
        """
        seed = self.random if training else self.seed
        draws = keras.random.uniform((*ops.shape(features)[:3], 1), seed=seed)
        kept = ops.cast(draws >= self.hidden_fraction, features.dtype)
        return self.second(ops.relu(self.first(features * kept)))

    def save_own_variables(self, store: Any) -> None:
        """Save the state of the random sequence, so that a resumed run hides the same cells."""
        store["random"] = ops.convert_to_numpy(self.random.state)

    def load_own_variables(self, store: Any) -> None:
        """Restore the state of the random sequence."""
        self.random.state.assign(store["random"])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "channels": self.channels,
            "hidden_fraction": self.hidden_fraction,
            "seed": self.seed,
        }
