"""JSON: values that it can hold, files that are written whole, files that may be compressed."""

import gzip
import json
import math
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_hkd.atomic_write import write_text
from keras_hkd.errors import InvalidTypeError, InvalidValueError, MissingFileError


def plain(value: object) -> Any:
    """Turn nests of Python and NumPy values into what JSON can hold.

    Args:
        value: dicts, sequences, strings, booleans, None, Python and NumPy numbers, paths. NaN and
            infinities, for which JSON has no word, become None.

    Raises:
        TypeError: for anything else.

    Example:

    >>> plain({"AP": math.nan, "size": (256, 256)})
    {'AP': None, 'size': [256, 256]}
    """
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):  # NumPy arrays and scalars
        return plain(value.tolist())
    raise InvalidTypeError(
        "Expected dicts, lists, strings, numbers, booleans or None to write as JSON. "
        f"Received: {value!r} of type {type(value).__name__}"
    )


def as_json(value: object, indent: int | None = 2) -> str:
    """Write a value as JSON text.

    Args:
        value: what `plain` takes.
        indent: spaces of each level; None for one line.

    Example:

    >>> as_json({"AP": 0.25, "MR2": math.nan}, indent=None)
    '{"AP": 0.25, "MR2": null}'
    """
    return json.dumps(plain(value), indent=indent, allow_nan=False)


def write_json(path: str | os.PathLike, value: object, indent: int | None = 2) -> None:
    """Replace the file at `path` by a value as JSON, all or nothing.

    Args:
        path: the file; its folder is made if need be.
        value: what `plain` takes.
        indent: spaces of each level; None for one line.
    """
    write_text(path, as_json(value, indent) + "\n")


def read_text(path: str | os.PathLike) -> str:
    """Read a text file in UTF-8, compressed by gzip or not.

    Args:
        path: the file, of any name.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read, unpacked or decoded.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"{path}: there is no such file.")
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        return content.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidValueError(f"{path}: cannot be unpacked: {error}") from error
    except UnicodeDecodeError as error:
        raise InvalidValueError(f"{path}: not UTF-8 text: {error}") from error


def read_json(path: str | os.PathLike) -> Any:
    """Read a JSON file, compressed by gzip or not.

    Args:
        path: the file, of any name.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read, or is not JSON.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InvalidValueError(f"{path}: not JSON: {error}") from error
