"""Replaces the weights of a model by their moving average for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


def moving_averages(optimizer: Any) -> list[tuple[Any, Any]]:
    """List the pairs (weight, its moving average) of an optimizer; none if it keeps no averages."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # under float16 loss scaling
    if optimizer is None or not optimizer.use_ema or not optimizer.built:
        return []
    weights, averages = optimizer._trainable_variables, optimizer._model_variables_moving_average
    return [pair for pair in zip(weights, averages, strict=True) if pair[1] is not None]


@contextlib.contextmanager
def averaged_weights(model: keras.Model) -> Iterator[None]:
    """Put the moving averages in place of a model's weights for a while, then the weights back.

    Validation during training then judges the weights that training would end with. The weights
    are restored bit-identically, so measuring does not change a run.

    Args:
        model: a compiled Keras model whose optimizer has `use_ema=True`; with any other optimizer
            nothing happens.
    """
    import keras

    pairs = moving_averages(model.optimizer)
    if not pairs or keras.ops.convert_to_numpy(model.optimizer.iterations) == 0:
        yield
        return
    kept = [keras.ops.convert_to_numpy(weight) for weight, _ in pairs]
    try:
        for weight, average in pairs:
            weight.assign(average)
        yield
    finally:
        for (weight, _), value in zip(pairs, kept, strict=True):
            weight.assign(value)
