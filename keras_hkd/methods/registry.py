"""Methods by name, for the command line."""

import difflib
import importlib
from typing import NamedTuple


class Method(NamedTuple):
    """Where a method lives, and what it is made from.

    Attributes:
        module: the module.
        function: its function `(teacher, student, **options)`, or `(student, **options)` for a
            method without a teacher; it gives a model that is ready to compile.
        teacher: `"frozen"`, a trained model that stays as it is; `"peer"`, a second student that
            learns along; None for a method without.
        unlabelled: whether images without labels take part.
    """

    module: str
    function: str
    teacher: str | None = "frozen"
    unlabelled: bool = False


METHODS = {
    "adl": Method("keras_hkd.methods.adl_sad", "adl"),
    "hkd": Method("keras_hkd.methods.hkd", "hkd"),
    "mean_teacher": Method("keras_hkd.methods.self_teaching", "mean_teacher", teacher=None),
    "mutual": Method("keras_hkd.methods.mutual_learning", "mutual", teacher="peer"),
    "sad": Method("keras_hkd.methods.adl_sad", "sad", unlabelled=True),
}


def described(name):
    """The `Method` of a name.

    Raises:
        ValueError: unknown name; the nearest one is shown.

    Example:
    >>> described("hkd").teacher
    'frozen'
    """
    if name not in METHODS:
        near = difflib.get_close_matches(str(name), METHODS, n=1, cutoff=0.3)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"No method is called {name!r}.{hint} Methods: {', '.join(sorted(METHODS))}."
        )
    return METHODS[name]


def get(name):
    """The function that makes a named method; see `Method.function`.

    Raises:
        ValueError: unknown name; the nearest one is shown.

    Example:
    >>> get("hkd").__name__
    'hkd'
    """
    method = described(name)
    return getattr(importlib.import_module(method.module), method.function)
