"""The readers of all formats: each a module of this package, found without a list.

A reader is a module that has

- `NAME`, the name of its format, as `--format` takes it;
- `RANK`, a number: of two readers that recognise a path the one of lower rank reads it;
- `recognises(path) -> bool`, which looks at little of what lies at the path and never raises;
- `read(path, bad) -> Records`, which hands faulty records to `bad` (`BadRecords`);
- and, where its splits have annotation files of their own, `part(path, split) -> Path | None`,
  the place of one of them.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

from keras_hkd.errors import InvalidValueError
from keras_hkd.messages import did_you_mean


@functools.cache
def _readers() -> dict[str, ModuleType]:
    package = importlib.import_module(__package__)
    modules = [
        importlib.import_module(f"{__package__}.{found.name}")
        for found in pkgutil.iter_modules(package.__path__)
    ]
    readers = [module for module in modules if hasattr(module, "recognises")]
    return {reader.NAME: reader for reader in sorted(readers, key=lambda r: (r.RANK, r.NAME))}


def names() -> list[str]:
    """List the names of all formats.

    Example:

    >>> {"coco", "voc", "yolo"} <= set(names())
    True
    """
    return sorted(_readers())


def get(format: str) -> ModuleType:
    """Give the reader of a format.

    Args:
        format: its name, in any case, with or without hyphens.

    Raises:
        ValueError: there is no such format.
    """
    name = format.lower().replace("_", "").replace("-", "")
    if name in _readers():
        return _readers()[name]
    raise InvalidValueError(
        f"`format` must be one of {names()}.{did_you_mean(name, names())} Received: {format!r}"
    )


def recognised(path: Path) -> ModuleType | None:
    """Give the reader that recognises a path; None if none does.

    Args:
        path: a file or a folder.
    """
    return next((reader for reader in _readers().values() if reader.recognises(path)), None)


def part(reader: ModuleType, path: Path, split: str) -> Path | None:
    """Give the place of a split that has annotations of its own; None where it has none.

    Args:
        reader: a reader.
        path: the place of the dataset.
        split: the name of the split.
    """
    return reader.part(path, split) if hasattr(reader, "part") else None
