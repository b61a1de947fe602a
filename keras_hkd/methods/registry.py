"""Methods by name, for the command line."""

import difflib
import importlib

# name: (module, function)
METHODS = {"hkd": ("keras_hkd.methods.hkd", "hkd")}


def get(name):
    """The function `(teacher, student, **options) -> Distiller` of a named method.

    Raises:
        ValueError: unknown name; the nearest one is shown.

    Example:
    >>> get("hkd").__name__
    'hkd'
    """
    if name not in METHODS:
        near = difflib.get_close_matches(str(name), METHODS, n=1, cutoff=0.3)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"No method is called {name!r}.{hint} Methods: {', '.join(sorted(METHODS))}."
        )
    module, function = METHODS[name]
    return getattr(importlib.import_module(module), function)
