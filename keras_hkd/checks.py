"""Checks arguments, so that a wrong one is refused at once and not seen later as NaN."""

import math
import numbers
from collections.abc import Callable, Sequence
from typing import Any

from keras_hkd.errors import InvalidTypeError, InvalidValueError
from keras_hkd.messages import did_you_mean, received


def positive(name: str, value: float) -> float:
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


def in_range(
    name: str,
    value: float,
    low: float = 0.0,
    high: float = math.inf,
    open_low: bool = False,
    open_high: bool = False,
) -> float:
    """Refuse what is not a finite number between two bounds.

    Args:
        name: the argument's name.
        value: what the user gave.
        low: smallest value allowed.
        high: largest value allowed.
        open_low: True where `low` itself is not allowed.
        open_high: True where `high` itself is not allowed.

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
        raise InvalidTypeError(f"`{name}` must be a number. {received(value, with_type=True)}")
    value = float(value)
    inside = low <= value <= high and not (open_low and value == low)
    if not math.isfinite(value) or not inside or (open_high and value == high):
        bound = f"above {low:g}" if open_low else f"at least {low:g}"
        if math.isfinite(high):
            bound += f" and {'below' if open_high else 'at most'} {high:g}"
        raise InvalidValueError(f"`{name}` must be a finite number {bound}. {received(value)}")
    return value


def one_of(name: str, value: str, choices: Sequence[str]) -> str:
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
    raise InvalidValueError(f"`{name}` must be one of {known}.{hint} {received(value)}")


def whole(name: str, value: int, low: int = 0, high: int | None = None) -> int:
    """Refuse what is not a whole number between two bounds.

    Args:
        name: the argument's name.
        value: what the user gave.
        low: smallest value allowed.
        high: largest value allowed; None for no bound.

    Returns:
        The value as int.

    Raises:
        TypeError: it is not a whole number.
        ValueError: it is outside the bounds.

    Example:

    >>> whole("seed", 7)
    7
    """
    expected = f"`{name}` must be a whole number of at least {low}"
    expected += "" if high is None else f" and at most {high}"
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise InvalidTypeError(f"{expected}. {received(value, with_type=True)}")
    if value < low or (high is not None and value > high):
        raise InvalidValueError(f"{expected}. {received(value)}")
    return int(value)


def several(name: str, values: Sequence, check: Callable[[str, Any], Any]) -> tuple:
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
        expected = f"`{name}` must be a list or tuple"
        raise InvalidTypeError(f"{expected}. {received(values, with_type=True)}")
    return tuple(check(name, value) for value in values)


def image_size(
    name: str, value: Sequence[int], low: int = 1, multiple_of: int = 1, because: str = ""
) -> tuple[int, int]:
    """Refuse what is not the height and width of an image.

    Args:
        name: the argument's name.
        value: what the user gave.
        low: smallest side allowed, in pixels.
        multiple_of: what both sides must be multiples of.
        because: the reason, which the message gives in brackets.

    Returns:
        `(height, width)` in pixels as ints.

    Raises:
        ValueError: it is no pair of whole numbers, or a side is not allowed.

    Example:

    >>> image_size("image_size", [256, 320])
    (256, 320)
    """
    try:
        sides = tuple(int(side) for side in value)
        pair = len(sides) == 2 and all(a == b for a, b in zip(sides, value, strict=True))
    except (TypeError, ValueError, OverflowError):
        sides, pair = (), False
    if not pair or min(sides) < low or any(side % multiple_of for side in sides):
        expected = f"`{name}` must be (height, width) in pixels, whole numbers of at least {low}"
        expected += f", both multiples of {multiple_of}" if multiple_of > 1 else ""
        raise InvalidValueError(f"{expected}{because and f' ({because})'}. {received(value)}")
    height, width = sides
    return height, width


def require_tensorflow(what: str) -> None:
    """Refuse to go on where Keras runs on another backend than TensorFlow.

    Args:
        what: what needs TensorFlow, as the subject of a sentence.

    Raises:
        ValueError: the Keras backend is not TensorFlow.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        raise InvalidValueError(
            f"{what} needs the TensorFlow backend of Keras: set KERAS_BACKEND=tensorflow before "
            "Keras is imported; a model saved on another backend loads there. Received: "
            f"KERAS_BACKEND={keras.backend.backend()}"
        )
