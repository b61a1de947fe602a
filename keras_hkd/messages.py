"""What messages share: what came, which name is near, names of files; where warnings point."""

import difflib
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import PurePath

_LONGEST = 80  # characters
_PACKAGE = __name__.partition(".")[0]


def did_you_mean(name: object, known: Iterable[str], most: int = 1, cutoff: float = 0.6) -> str:
    """Write a sentence with the names that come near, a space before it; empty where none does.

    Args:
        name: what was given.
        known: what could have been.
        most: names to show.
        cutoff: from 0 for anything to 1 for equal names.

    Example:

    >>> did_you_mean("hdk", ["adl", "hkd"])
    " Did you mean 'hkd'?"
    """
    near = difflib.get_close_matches(str(name), list(known), n=most, cutoff=cutoff)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""


def shown(value: object) -> str:
    """Write a value as an error message shows it, cut to a readable length.

    Args:
        value: what to show.

    Example:

    >>> shown("a" * 100)[-5:]
    'aa...'
    """
    try:
        text = repr(value)
    except ValueError:  # whole numbers of thousands of digits have no text form
        text = "a number of thousands of digits"
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def received(value: object, with_type: bool = False) -> str:
    """Write the last sentence of a message: what came in place of what was expected.

    Args:
        value: what the user gave.
        with_type: whether to name its type, where that is what is wrong.

    Example:

    >>> received("2", with_type=True)
    "Received: '2' (str)"
    """
    return f"Received: {shown(value)}" + (f" ({type(value).__name__})" if with_type else "")


def first_of(values: Sequence[object], most: int = 1) -> str:
    """Write the first of some values, and how many more there are.

    Args:
        values: what to show.
        most: values to write out.

    Example:

    >>> first_of(["a", "b", "c"]), first_of(["a", "b"], 2)
    ('a and 2 more', 'a, b')
    """
    more = f" and {len(values) - most} more" if len(values) > most else ""
    return ", ".join(map(str, values[:most])) + more


def told_apart(paths: Iterable[str | os.PathLike]) -> list[str]:
    """Name files or folders by their last part, those that share it by their whole path.

    Args:
        paths: as the user gave them.

    Example:

    >>> told_apart(["runs/a/student.keras", "runs/b/student.keras", "runs/b/small.tflite"])
    ['runs/a/student.keras', 'runs/b/student.keras', 'small.tflite']
    """
    known = [PurePath(path) for path in paths]
    names = [path.name for path in known]
    return [str(path) if names.count(path.name) > 1 else path.name for path in known]


def stack_level_of_caller() -> int:
    """Count the `stacklevel` with which a warning points at the user's line, not into this package.

    The function that warns calls it.
    """
    frame, level = sys._getframe(1), 1
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        frame, level = frame.f_back, level + 1
    return level
