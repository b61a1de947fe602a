"""Reads what the modules of a package declare from their sources, without importing them.

Importing TensorFlow, Keras and KerasCV takes many seconds, so tables of what there is (public
names, methods, registered classes) are read. A new module is in them without being listed.
"""

from __future__ import annotations

import ast
import pathlib
import re
from collections.abc import Iterator
from typing import Any

_ALL = re.compile(r"^__all__ = (\[.*?\]|\(.*?\))", re.MULTILINE | re.DOTALL)


def texts(package: str, path: list[str], *patterns: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the source of each module of a package, in the order of their names.

    Args:
        package: the package's `__name__`.
        path: its `__path__`.
        *patterns: which files, relative to its folder.
    """
    for folder in map(pathlib.Path, path):
        files = {file for pattern in patterns for file in folder.glob(pattern)}
        for file in sorted(files):
            if file.name != "__init__.py":
                parts = file.relative_to(folder).with_suffix("").parts
                yield ".".join((package, *parts)), file.read_text(encoding="utf-8")


def public_names(package: str, path: list[str], *patterns: str) -> dict[str, str]:
    """Return the names that modules of a package list in their `__all__`.

    Args:
        package: the package's `__name__`.
        path: its `__path__`.
        *patterns: which files, relative to its folder; `*.py` by default.

    Returns:
        A dict from a name to the module that lists it, as `keras_hkd._lazy.attach` takes it.

    Example:

    >>> import keras_hkd.losses
    >>> public_names("keras_hkd.losses", keras_hkd.losses.__path__)["GIoU"]
    'keras_hkd.losses.giou'
    """
    names = {}
    for module, text in texts(package, path, *(patterns or ("*.py",))):
        listed = _ALL.search(text)
        for name in ast.literal_eval(listed[1]) if listed else ():
            names[name] = module
    return names


def decorated(
    package: str, path: list[str], decorator: str, *patterns: str
) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return the classes and functions of a package that have a decorator, and its arguments.

    Args:
        package: the package's `__name__`.
        path: its `__path__`.
        decorator: as it stands in the sources, without `@`; it is called with keyword arguments
            that are literals.
        *patterns: which files, relative to its folder; `**/*.py` by default.

    Returns:
        A dict from a name to its module and the decorator's arguments.

    Raises:
        ValueError: a name stands twice, or an argument is no literal.

    Example:

    >>> import keras_hkd.methods
    >>> decorated("keras_hkd.methods", keras_hkd.methods.__path__, "method")["kd"]
    ('keras_hkd.methods.logit_kd', {'several_teachers': True})
    """
    header = re.compile(
        rf"^@{re.escape(decorator)}\((.*?)\)\n(?:@[^\n]*\n)*(?:class|def) (\w+)",
        re.MULTILINE | re.DOTALL,
    )
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for module, text in texts(package, path, *(patterns or ("**/*.py",))):
        for arguments, name in header.findall(text):
            if name in found:
                raise ValueError(
                    f"Two things that @{decorator} declares have one name; rename one of them. "
                    f"Received: {name} in {found[name][0]} and {module}"
                )
            found[name] = module, _keywords(arguments)
    return found


def _keywords(arguments: str) -> dict[str, Any]:
    call = ast.parse(f"f({arguments})", mode="eval").body
    keywords = call.keywords if isinstance(call, ast.Call) else []
    return {word.arg: ast.literal_eval(word.value) for word in keywords if word.arg}
