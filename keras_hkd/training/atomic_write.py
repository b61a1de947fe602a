"""Files that are either whole or absent: the one home of how this package replaces a file."""

import contextlib
import json
import math
import os
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

DAMAGE = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error)
"""What NumPy raises at an `.npz` file that is truncated, or of which a bit is wrong."""

_PARTIAL = re.compile(r"\.partial-\d+(\.[^.]+)?$")


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary name to write to, and move it over `path` once all bytes are on the disk.

    A process killed at any moment leaves `path` as it was, or whole and new. The temporary file
    stands in the same folder, since a rename is atomic only within one file system, and keeps the
    extension, since Keras and NumPy choose the format by it.

    Args:
        path: the file to create or replace; its folder is made if need be.

    Example:

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "note.txt") as partial:
    ...         _ = partial.write_text("whole")
    ...     (Path(folder) / "note.txt").read_text(), len(os.listdir(folder))
    ('whole', 1)
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.partial-{os.getpid()}{path.suffix}")
    try:
        yield partial
        _flush_to_disk(partial)
        os.replace(partial, path)
        _flush_to_disk(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Replace the file at `path` by `text` in UTF-8, all or nothing."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: object) -> None:
    """Replace the file at `path` by `value` as JSON, all or nothing.

    NumPy numbers and arrays become plain ones. NaN and infinities, which are not JSON, become
    `null`.
    """
    write_text(path, json.dumps(plain(value), indent=2, allow_nan=False) + "\n")


def plain(value: object) -> object:
    """Turn dataclass-free nests of Python and NumPy values into what JSON can hold.

    Args:
        value: dicts, sequences, strings, booleans, None, Python and NumPy numbers, paths.

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
    raise TypeError(
        "Expected dicts, lists, strings, numbers, booleans or None to write as JSON. "
        f"Received: {value!r} of type {type(value).__name__}"
    )


def remove_partial_files(folder: str | Path) -> None:
    """Delete what killed processes left half-written in `folder`; nothing there is ever read."""
    folder = Path(folder)
    if folder.is_dir():
        for path in folder.iterdir():
            if path.name.startswith(".") and _PARTIAL.search(path.name):
                path.unlink(missing_ok=True)


def _flush_to_disk(path: Path) -> None:
    """Make the operating system write the bytes of a file, or the names in a folder, now."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:  # Windows opens no folder; its rename is journalled
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
