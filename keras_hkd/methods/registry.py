"""Methods by name, for the command line."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any, NamedTuple, cast

from keras_hkd.errors import InvalidTypeError, InvalidValueError
from keras_hkd.messages import did_you_mean
from keras_hkd.sources import decorated

__all__ = ["METHODS", "Method", "described", "get", "prepared"]


class Method(NamedTuple):
    """Where a method lives, and what it is made from.

    Attributes:
        module: the module.
        function: its function `(teacher, student, **options)`, or `(student, **options)` for a
            method without a teacher; it gives a model that is ready to compile.
        teacher: `"frozen"`, a trained model that stays as it is; `"peer"`, a second student that
            learns along; None for a method without.
        unlabelled: whether images without labels take part.
        prepare: where the teacher needs a training of its own first, a function
            `(teacher, **options)` of the module, options beginning with `teacher_`; see `prepared`.
        facts: options of the function that a run gives unless its user does: `num_steps`, training
            steps in all; `folder`, where the run keeps its files; `seed`.
        several_teachers: whether a list of teachers is taken too.
    """

    module: str
    function: str
    teacher: str | None = "frozen"
    unlabelled: bool = False
    prepare: str | None = None
    facts: tuple[str, ...] = ()
    several_teachers: bool = False


def method(**facts: Any) -> Callable:
    """Declares a function as a method: a decorator, whose arguments are those of `Method`.

    The table `METHODS` is read from the sources, so that a method is known by its name without
    being imported.

    Args:
        **facts: `teacher`, `unlabelled`, ... as literals.
    """
    unknown = set(facts) - set(Method._fields)
    if unknown:
        raise InvalidTypeError(f"A method declares {Method._fields}. Received: {sorted(unknown)}")
    return lambda function: function


METHODS = {
    name: Method(module, name, **cast(dict[str, Any], facts))
    for name, (module, facts) in sorted(
        decorated(__package__, [os.path.dirname(__file__)], "method", "*.py", "*/method.py").items()
    )
}


def described(name: str) -> Method:
    """The `Method` of a name.

    Raises:
        ValueError: unknown name; the nearest one is shown.

    Example:

    >>> described("hkd").teacher
    'frozen'
    """
    if name not in METHODS:
        hint = did_you_mean(name, METHODS, cutoff=0.3)
        raise InvalidValueError(
            f"No method is called {name!r}.{hint} Methods: {', '.join(sorted(METHODS))}."
        )
    return METHODS[name]


def get(name: str) -> Callable[..., Any]:
    """The function that makes a named method; see `Method.function`.

    Raises:
        ValueError: unknown name; the nearest one is shown.

    Example:

    >>> get("hkd").__name__
    'hkd'
    """
    method = described(name)
    return getattr(importlib.import_module(method.module), method.function)


def prepared(
    name: str, teacher: Any, options: dict[str, Any]
) -> tuple[Any, Callable[..., None] | None, dict[str, Any]]:
    """The teacher that a method takes, made from one that it is given.

    Args:
        name: of the method.
        teacher: a trained model, or None.
        options: of the method, by name.

    Returns:
        The teacher; `train(dataset, settings, run_folder, resume=False)`, which has to be called
        before the student learns, or None; and the options that are left for the method.

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
