"""Checks the options that a method passes on to one of its parts."""

import inspect
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from keras_hkd.errors import InvalidTypeError
from keras_hkd.messages import did_you_mean


def check_options(
    method: str,
    given: Iterable[str],
    part: Callable[..., Any],
    own: Sequence[str] = (),
    leave_out: Collection[str] = (),
) -> None:
    """Refuse options that a part does not take.

    Args:
        method: name of the method, for the message.
        given: the options, by name.
        part: class or function that takes the options.
        own: names of the method's own options, for the message.
        leave_out: names of options that the method itself passes to the part.

    Raises:
        TypeError: if an option is unknown; the message names the nearest one and lists all.

    Example:

    >>> from keras_hkd.losses import PearsonCorrelation, LogitDistillation
    >>> check_options("kd", {"temperature": 2.0}, LogitDistillation)
    >>> check_options("kd", {"temprature": 2.0}, LogitDistillation, own=("weight",))
    Traceback (most recent call last):
    keras_hkd.errors.InvalidTypeError: kd got an unexpected keyword argument 'temprature'. Did you
    mean 'temperature'? Allowed: weight; of LogitDistillation: activation, temperature.
    """
    parameters = inspect.signature(part).parameters.values()
    allowed = [
        parameter.name
        for parameter in parameters
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.name not in leave_out
    ]
    for name in given:
        if name not in allowed:
            hint = did_you_mean(name, [*own, *allowed])
            mine = f"{', '.join(own)}; " if own else ""
            raise InvalidTypeError(
                f"{method} got an unexpected keyword argument {name!r}.{hint} "
                f"Allowed: {mine}of {part.__name__}: {', '.join(allowed)}."
            )
