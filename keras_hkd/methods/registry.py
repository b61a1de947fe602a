"""The table of methods, which the command line finds by name."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any, NamedTuple

from keras_hkd.errors import InvalidTypeError, InvalidValueError
from keras_hkd.messages import did_you_mean
from keras_hkd.sources import decorated

__all__ = ["METHODS", "Method", "described", "get", "prepared"]


class Method(NamedTuple):
    """The function of a method and what it needs.

    Attributes:
        module: name of the module.
        function: name of its function `(teacher, student, **options)`, or `(student, **options)`
            for a method without a teacher, which returns a model that is ready to compile.
        teacher: `"frozen"` for a trained model that does not change, `"peer"` for a second student
            that is trained along, None for a method without a teacher.
        unlabelled: whether unlabelled images are used.
        prepare: if the teacher must be trained first, the name of a function
            `(teacher, **options)` of the module, with options that begin with `teacher_`; see
            `prepared`.
        facts: names of options that a run sets if its user does not: `num_steps`, the number of
            training steps; `folder`, the folder of the run; `seed`.
        several_teachers: whether a list of teachers is accepted.
    """

    module: str
    function: str
    teacher: str | None = "frozen"
    unlabelled: bool = False
    prepare: str | None = None
    facts: tuple[str, ...] = ()
    several_teachers: bool = False


def method(**facts: Any) -> Callable:
    """Declare a function as a method, as a decorator.

    The table `METHODS` is read from the sources, so that methods are known by name without being
    imported.

    Args:
        **facts: attributes of `Method`, such as `teacher` and `unlabelled`, as literals.

    Raises:
        TypeError: if there is no such attribute.
    """
    unknown = set(facts) - set(Method._fields)
    if unknown:
        raise InvalidTypeError(f"A method declares {Method._fields}. Received: {sorted(unknown)}")
    return lambda function: function


METHODS = {
    name: Method(module, name, **facts)
    for name, (module, facts) in sorted(
        decorated(__package__, [os.path.dirname(__file__)], "method", "*.py", "*/method.py").items()
    )
}


def described(name: str) -> Method:
    """Return the `Method` of a name.

    Raises:
        ValueError: if the name is unknown; the message names the nearest one.

    Example:

    >>> described("hkd").teacher
    'frozen'
    """
    if name not in METHODS:
        hint = did_you_mean(name, METHODS, cutoff=0.3)
        raise InvalidValueError(
            f"No method is called {name!r}.{hint} Methods: {', '.join(sorted(METHODS))}. "
            f"Received: {name!r}"
        )
    return METHODS[name]


def get(name: str) -> Callable[..., Any]:
    """Return the function of a named method; see `Method.function`.

    Raises:
        ValueError: if the name is unknown; the message names the nearest one.

    Example:

    >>> get("hkd").__name__
    'hkd'
    """
    method = described(name)
    return getattr(importlib.import_module(method.module), method.function)


def prepared(
    name: str, teacher: Any, options: dict[str, Any]
) -> tuple[Any, Callable[..., None] | None, dict[str, Any]]:
    """Prepare the teacher for a method.

    Args:
        name: name of the method.
        teacher: a trained model, or None.
        options: options of the method, by name.

    Returns:
        The teacher; a function `train(dataset, settings, run_folder, resume=False)` that must be
        called before the student is trained, or None; and the remaining options of the method.

    Example:

    >>> prepared("hkd", None, {"top": 3})
    (None, None, {'top': 3})
    """
    method = described(name)
    if method.prepare is None or teacher is None:
        return teacher, None, options
    prepare = getattr(importlib.import_module(method.module), method.prepare)
    own = {key: value for key, value in options.items() if key.startswith("teacher_")}
    rest = {key: value for key, value in options.items() if key not in own}
    return *prepare(teacher, **own), rest
