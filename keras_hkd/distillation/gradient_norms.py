"""The share of each term of the loss in the gradient of the student."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from keras_hkd.checks import require_tensorflow
from keras_hkd.errors import InvalidValueError
from keras_hkd.tensors import Tensor, TensorDict

if TYPE_CHECKING:
    from keras_hkd.distillation.distiller import Distiller

Combine = Callable[[TensorDict], Sequence[Tensor]]


def gradient_shares(distiller: Distiller, images: Tensor, labels: Any) -> dict[str, float]:
    """Compute the norm of each weighted term's gradient, as a share of their sum.

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
        ValueError: if the backend is neither TensorFlow nor JAX.
    """
    names: list[str] = []

    def each(terms: TensorDict) -> list[Tensor]:
        names[:] = terms
        return list(terms.values())

    norms = norms_of(distiller, each, training=False)(images, labels)
    return dict(zip(names, as_shares(norms, distiller.term_weights()), strict=True))


def as_shares(norms: Iterable[float], weights: Iterable[Any] | None = None) -> list[float]:
    """Compute the share of each gradient in the sum of all: `|w_i| n_i / sum_j |w_j| n_j`.

    Args:
        norms: the norm of each gradient. Those that are not finite are left out of the sum.
        weights: the weight of each; 1 if None.
    """
    norms = list(norms)
    factors = [1.0] * len(norms) if weights is None else map(ops.convert_to_numpy, weights)
    pulls = [abs(float(one)) * float(norm) for one, norm in zip(factors, norms, strict=True)]
    total = sum(pull for pull in pulls if np.isfinite(pull)) or 1.0
    return [pull / total for pull in pulls]


def norms_of(
    distiller: Distiller, combine: Combine, training: bool, compiled: bool = False
) -> Callable[[Tensor, Any], np.ndarray]:
    """Make a function that measures norms of gradients at the student's trainable weights.

    Args:
        distiller: as of `values_and_norms_of`.
        combine: as of `values_and_norms_of`.
        training: as of `values_and_norms_of`.
        compiled: as of `values_and_norms_of`.

    Returns:
        A function of images and labels that gives a float32 array, a norm for each scalar.

    Raises:
        ValueError: if the backend is neither TensorFlow nor JAX.
    """
    measure = values_and_norms_of(distiller, combine, training, compiled)
    return lambda images, labels: measure(images, labels)[:, 1]


def values_and_norms_of(
    distiller: Distiller, combine: Combine, training: bool, compiled: bool = False
) -> Callable[[Tensor, Any], np.ndarray]:
    """Make a function that measures losses, and norms of their gradients at the student's weights.

    It runs inside a `keras.StatelessScope`: what training updates along the way (statistics of
    BatchNormalization, queues of hierarchies, seeds of dropout) is thrown away. Where the student
    computes in float16, whose smallest numbers gradients fall below, scalars are multiplied by the
    largest of some powers of two with which the norm is finite, as loss scaling does in training.

    Args:
        distiller: a `Distiller`.
        combine: what to differentiate: gives scalars from the dict of unweighted terms.
        training: whether layers and hierarchies behave as in training.
        compiled: whether TensorFlow traces the function, as training does; JAX always compiles.

    Returns:
        A function of images and labels that gives a float32 array `(scalars, 2)`: value and norm of
        each.

    Raises:
        ValueError: if the backend is neither TensorFlow nor JAX.
    """

    def scalars(images: Tensor, labels: Any) -> Sequence[Tensor]:
        outputs = distiller(images, training=training)
        return combine(distiller.compute_terms(images, labels, outputs, training=training))

    if keras.backend.backend() == "jax":
        measure = _on_jax(distiller, scalars)
    else:
        measure = _on_tensorflow(distiller, scalars, compiled)

    def measured(images: Tensor, labels: Any) -> np.ndarray:
        images, labels = keras.tree.map_structure(_as_tensor, (images, labels))
        values, norms = measure(images, labels)
        return np.array([[float(one) for one in row] for row in (values, norms)], "float32").T

    return measured


def _as_tensor(value: Any) -> Tensor:
    return value if ops.is_tensor(value) else ops.convert_to_tensor(np.asarray(value))


def _on_tensorflow(distiller: Distiller, scalars: Callable, compiled: bool) -> Callable:
    require_tensorflow("The norm of a term's gradient (or KERAS_BACKEND=jax)")
    import tensorflow as tf

    variables = [variable.value for variable in distiller.student.trainable_variables]
    factors = _factors(distiller)

    def measured(images: Tensor, labels: Any) -> tuple[list[Tensor], list[Tensor]]:
        with tf.GradientTape(persistent=True) as tape, keras.StatelessScope():
            values = scalars(images, labels)

        def norm(value: Tensor, factor: float) -> Tensor:
            seed = tf.cast(factor, value.dtype)
            gradients = tape.gradient(value, variables, output_gradients=seed)
            return tf.linalg.global_norm([g for g in gradients if g is not None]) / factor

        return list(values), [
            _largest_finite([norm(value, factor) for factor in factors]) for value in values
        ]

    # Eagerly: tracing a gradient for each term takes ten times as long as a few batches.
    return tf.function(measured) if compiled else measured


def _on_jax(distiller: Distiller, scalars: Callable) -> Callable:
    import jax

    trained = distiller.student.trainable_variables
    apart = {id(variable) for variable in trained}
    others = list({id(v): v for v in distiller.variables if id(v) not in apart}.values())
    factors = _factors(distiller)

    @jax.jit
    def compiled(weights: Any, state: Any, images: Tensor, labels: Any) -> tuple[Any, Any]:
        def values(weights: Any) -> Tensor:
            mapping = [*zip(trained, weights, strict=True), *zip(others, state, strict=True)]
            with keras.StatelessScope(state_mapping=mapping):
                return ops.stack([ops.cast(one, "float32") for one in scalars(images, labels)])

        found, pull_back = jax.vjp(values, weights)

        def norm(row: Tensor, factor: float) -> Tensor:
            (gradients,) = pull_back(factor * row)
            return ops.sqrt(sum(ops.sum(ops.square(g)) for g in gradients)) / factor

        rows = ops.eye(len(found))
        return list(found), [
            _largest_finite([norm(row, factor) for factor in factors]) for row in rows
        ]

    def measured(images: Tensor, labels: Any) -> tuple[Any, Any]:
        weights, state = ([v.value for v in each] for each in (trained, others))
        return compiled(weights, state, images, labels)

    return measured


def _factors(distiller: Distiller) -> tuple[float, ...]:
    """Give what a scalar is multiplied by before it is differentiated."""
    layers = distiller.student._flatten_layers()
    half = any(getattr(layer, "compute_dtype", None) == "float16" for layer in layers)
    return (1.0, 2.0**5, 2.0**10, 2.0**15) if half else (1.0,)


def _largest_finite(norms: Sequence[Tensor]) -> Tensor:
    """Take the norm with the largest factor that is finite; the first if none is."""
    best, *others = norms
    for norm in others:
        best = ops.where(ops.isfinite(norm), norm, best)
    return best


class GradientShares(keras.callbacks.Callback):
    """Callback that logs `<term>_gradient_share` of every term, and of the `student`'s own losses.

    Where the Distiller balances its terms, warns once of one whose gradient, beside the student's
    own, has drifted far from what was asked.

    Args:
        images: the batch `(batch, height, width, 3)` on which shares are measured.
        labels: its labels.
        every: number of epochs between measurements.
        factor: how many times a share may grow or shrink without a warning. Five times was seen
            where a student gained.

    Raises:
        ValueError: when training begins, if the model is no Distiller with terms.
    """

    def __init__(self, images: Tensor, labels: Any, every: int = 1, factor: float = 10.0) -> None:
        super().__init__()
        self.images, self.labels, self.every = images, labels, every
        self.factor = factor
        self._told: set[str] = set()

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        if not getattr(self.model, "term_names", ()):
            raise InvalidValueError(
                "Shares of the gradient are those of the terms of a Distiller. "
                f"Received: {self.model.name!r}, which has none"
            )
        self._norms = norms_of(self.model, self._own_and_terms, training=True)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if logs is None or (epoch + 1) % self.every:
            return
        norms = self._norms(self.images, self.labels)
        weights = self.model.term_weights()[1 - len(norms) :]
        names = [f"{name}_gradient_share" for name in ("student", *self.model.term_names)]
        logs |= zip(names, as_shares(norms, [1.0, *weights]), strict=True)
        self._warn_of_drift(epoch, norms)

    def _own_and_terms(self, terms: TensorDict) -> list[Tensor]:
        return own_and_terms(self.model, terms)

    def _warn_of_drift(self, epoch: int, norms: np.ndarray) -> None:
        balance = getattr(self.model, "balance", None)
        if balance is None or not balance.is_measured:
            return
        for name, drift in balance.drifts(norms).items():
            if 1.0 / self.factor <= drift <= self.factor or name in self._told:
                continue
            self._told.add(name)
            warnings.warn(
                f"After epoch {epoch + 1} the gradient of the term {name!r}, beside the student's "
                f"own, is {drift:.2g} times what its share asks for. RebalanceTerms (on the "
                "command line --rebalance-after) measures anew.",
                RuntimeWarning,
                stacklevel=3,
            )


def own_and_terms(distiller: Distiller, terms: TensorDict) -> list[Tensor]:
    """Join the student's own losses, weighted, and leave the terms of distillation as they are.

    Args:
        distiller: a `Distiller`.
        terms: what its `compute_terms` gave.

    Returns:
        A list of scalars, the student's own first.
    """
    values = list(terms.values())
    split = len(values) - len(distiller.term_names)
    return [distiller.student_loss_weight * sum(values[:split]), *values[split:]]
