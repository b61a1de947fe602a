"""Checks of hyper-parameters: a fault is said at construction, not as NaN later."""

import math
import numbers

from keras_hkd.suggestions import did_you_mean


def positive(name, value):
    """Refuse what is not a finite number above 0.

    Args:
        name: the argument's name.
        value: what the user gave.

    Returns:
        The value as float.

    Raises:
        TypeError: it is not a number.
        ValueError: it is not above 0, or not finite.

    Example:

    >>> positive("temperature", 3)
    3.0
    """
    return in_range(name, value, low=0.0, open_low=True)


def in_range(name, value, low=0.0, high=math.inf, open_low=False):
    """Refuse what is not a finite number between two bounds.

    Args:
        name: the argument's name.
        value: what the user gave.
        low: smallest value allowed.
        high: largest value allowed.
        open_low: True where `low` itself is not allowed.

    Returns:
        The value as float.

    Raises:
        TypeError: it is not a number.
        ValueError: it is outside the bounds, or not finite.

    Example:

    >>> in_range("alpha", 0.5, high=1.0)
    0.5
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"`{name}` must be a number. Received: {value!r} ({type(value).__name__}).")
    value = float(value)
    if not math.isfinite(value) or not low <= value <= high or (open_low and value == low):
        bound = f"above {low:g}" if open_low else f"at least {low:g}"
        bound += f" and at most {high:g}" if math.isfinite(high) else ""
        raise ValueError(f"`{name}` must be a finite number {bound}. Received: {value!r}.")
    return value


def one_of(name, value, choices):
    """Refuse a word that is none of the choices, and name the nearest.

    Args:
        name: the argument's name.
        value: what the user gave.
        choices: sequence of strings.

    Returns:
        The value.

    Raises:
        ValueError: it is not among the choices.

    Example:

    >>> one_of("form", "paper", ("released", "paper"))
    'paper'
    """
    if value in choices:
        return value
    hint = did_you_mean(value, choices)
    known = ", ".join(repr(choice) for choice in choices)
    raise ValueError(f"`{name}` must be one of {known}. Received: {value!r}.{hint}")


def whole(name, value, low=0):
    """Refuse what is not a whole number of at least a bound.

    Args:
        name: the argument's name.
        value: what the user gave.
        low: smallest value allowed.

    Returns:
        The value as int.

    Raises:
        TypeError: it is not a whole number.
        ValueError: it is below the bound.

    Example:

    >>> whole("seed", 7)
    7
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(
            f"`{name}` must be a whole number. Received: {value!r} ({type(value).__name__})."
        )
    if value < low:
        raise ValueError(f"`{name}` must be a whole number of at least {low}. Received: {value!r}.")
    return int(value)


def several(name, values, check):
    """Refuse what is not a list or tuple, and check each of its values.

    Args:
        name: the argument's name.
        values: what the user gave.
        check: `check(name, value)` returns a value or raises, such as `positive`.

    Returns:
        A tuple of what `check` returned.

    Raises:
        TypeError: it is no list or tuple.

    Example:

    >>> several("anchor_scales", [4, 5.04], positive)
    (4.0, 5.04)
    """
    if not isinstance(values, (list, tuple)):
        raise TypeError(
            f"`{name}` must be a list or tuple. Received: {values!r} ({type(values).__name__})."
        )
    return tuple(check(name, value) for value in values)
