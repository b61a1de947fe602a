"""Looks at the first batches of what `fit` is given, so that `fit` still sees all of them."""

from __future__ import annotations

import itertools
import math
import types
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np

from keras_hkd.box_labels import padded_labels
from keras_hkd.errors import InvalidTypeError

_BATCH_SIZE = 32  # of `keras.Model.fit`


def first_batches(
    x: Any, y: Any = None, batch_size: int | None = None, count: int = 8
) -> tuple[list[Any], Any]:
    """Read some batches of the data of a training.

    Args:
        x: what `fit` takes: arrays, a `tf.data.Dataset`, a `PyDataset`, a generator, or another
            iterable of batches.
        y: labels beside arrays.
        batch_size: number of images in a batch of arrays; 32 by default.
        count: batches wanted.

    Returns:
        The batches, `count` at most; of arrays, samples that lie evenly over all of them. And what
        to give to `fit` in place of `x`: the same, but of a generator one that begins anew.

    Raises:
        TypeError: something that cannot be read before `fit` does.

    Example:

    >>> batches, rest = first_batches((number for number in range(5)), count=2)
    >>> batches, list(rest)
    ([0, 1], [0, 1, 2, 3, 4])
    """
    if y is not None or hasattr(x, "shape") or isinstance(x, dict):
        return _evenly(x, padded_labels(y), batch_size or _BATCH_SIZE, count), x
    if isinstance(x, keras.utils.PyDataset):
        length = x.num_batches
        return [x[number] for number in range(count if length is None else min(count, length))], x
    if isinstance(x, types.GeneratorType):
        read = list(itertools.islice(x, count))
        return read, _chained(read, x)
    if hasattr(x, "take"):
        return list(x.take(count)), x
    if (
        isinstance(x, Iterable)
        and not isinstance(x, Iterator)
        and "Distributed" not in str(type(x))
    ):
        return list(itertools.islice(x, count)), x
    raise InvalidTypeError(
        "To balance the terms some batches must be read first, and these data can be read only "
        "once. Call `distiller.measure_balance(batches)` before `fit`, with a list of pairs "
        f"(images, labels). Received: {type(x).__name__}"
    )


def _chained(read: list[Any], rest: Iterator[Any]) -> Iterator[Any]:
    yield from read
    yield from rest


def _evenly(x: Any, y: Any, batch_size: int, count: int) -> list[Any]:
    """Return batches of one size whose rows lie evenly over the arrays, which may be sorted."""
    arrays = [array for array in keras.tree.flatten((x, y)) if array is not None]
    length = min(len(array) for array in arrays)
    number = min(count, math.ceil(length / batch_size))
    size = min(batch_size, length // number) if number else 0
    rows = np.linspace(0, length - 1, num=size * number).round().astype(int)

    def chosen(array: Any, which: np.ndarray) -> Any:
        return array[which] if isinstance(array, np.ndarray) else np.asarray(array)[which]

    batches = []
    for start in range(number):
        which = rows[start::number]
        batch = keras.tree.map_structure(
            lambda array, which=which: chosen(array, which), x if y is None else (x, y)
        )
        batches.append(batch)
    return batches
