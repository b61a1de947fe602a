"""Structured pruning in rounds, with training between them, down to a number of weights."""

from __future__ import annotations

import collections.abc
from typing import Any

from keras_hkd.compression.channel_pruning import prune_channels
from keras_hkd.compression.compressed import checked_learner
from keras_hkd.compression.taylor_worth import gradient_worth
from keras_hkd.errors import InvalidValueError
from keras_hkd.learner import Learner


def prune_gradually(
    student: Learner,
    target_parameters: int,
    *,
    batches: collections.abc.Iterable,
    recover: collections.abc.Callable,
    amount: float = 0.06,
    num_batches: int = 20,
    multiple_of: int = 4,
    min_channels: int = 8,
    first_round: int = 1,
) -> Any:
    """Make a detector or classifier smaller in rounds, with training after each round.

    A round removes `amount` of all channels, those whose loss costs least for the weights that they
    free (see `gradient_worth`), wherever they are, and hands the smaller model to `recover`.
    Cutting as much at once destroys a network.

    Args:
        student: a `Detector` or `Classifier`; it is left as it is.
        target_parameters: the rounds end when there are at most so many.
        batches: training batches `(images, labels)` without end; each round reads `num_batches`.
        recover: function `(student, round)` that trains the smaller student, best in a `Distiller`
            with the whole student as teacher.
        amount: share of all channels that a round removes, in (0, 1).
        num_batches: how many batches the worth of channels is estimated on.
        multiple_of: channels are removed in multiples of this.
        min_channels: least channels of a layer.
        first_round: number of the first round, where earlier ones are done.

    Returns:
        The smaller student.

    Raises:
        ValueError: a number out of range, or nothing is left that may be removed.

    Example:

    >>> import keras_hkd
    >>> student = keras_hkd.detectors.build("yolo_v8_micro", image_size=(64, 64), seed=0)
    >>> dataset = keras_hkd.data.synthetic_dataset(num_images=4, image_size=(64, 64), seed=0)
    >>> batches = keras_hkd.data.training_batches(
    ...     dataset, image_size=(64, 64), batch_size=2, seed=0)
    >>> def recover(student, number):
    ...     student.compile("adamw")
    ...     _ = student.fit(batches, steps_per_epoch=1, verbose=0)
    >>> smaller = prune_gradually(student, 0.8 * student.count_params(), batches=batches,
    ...                           recover=recover, amount=0.2, num_batches=1)
    >>> smaller.count_params() < 0.8 * student.count_params()
    True
    """
    student = checked_learner(student)
    stream, number = iter(batches), first_round
    while student.count_params() > target_parameters:
        before = student.count_params()
        worth = gradient_worth(student, stream, num_batches)
        student = prune_channels(
            student,
            amount,
            worth=worth,
            across_layers=True,
            multiple_of=multiple_of,
            min_channels=min_channels,
        )
        if student.count_params() == before:
            raise InvalidValueError(
                f"No more channels can be removed from '{student.name}': lower `min_channels` "
                f"({min_channels}) or `multiple_of` ({multiple_of}), or raise `target_parameters`. "
                f"Received: target_parameters={target_parameters}, left are {before}"
            )
        recover(student, number)
        number += 1
    return student
