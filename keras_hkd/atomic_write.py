"""Files and folders that are either whole or absent, written under a temporary name and renamed."""

import contextlib
import os
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from keras_hkd.errors import PathInUseError

DAMAGE = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error)
"""What NumPy raises at an `.npz` file that is truncated, or of which a bit is wrong."""

_LONGEST_NAME = 255
"""Bytes of the name of a file, of which most file systems take no more."""

# The name of now, and that of earlier versions: `.note.partial-17.txt`.
_PARTIAL = re.compile(r"\.(.+\.)?partial-\d+(\.|$)")


@contextlib.contextmanager
def replacing(path: str | os.PathLike, replaces_folder: bool = False) -> Iterator[Path]:
    """Give a temporary name to write to, and move it over `path` once all bytes are on the disk.

    A process killed at any moment leaves `path` as it was, or whole and new. The temporary file
    stands in the same folder, since a rename is atomic only within one file system, and its name
    ends as that of `path`, since Keras and NumPy choose the format by it.

    Args:
        path: the file to create or replace, or a folder to create; its parent is made if need be.
            Of a link, what it leads to is replaced.
        replaces_folder: whether `path` may be a folder that holds files, which are then lost; they
            are removed at the end, just before the new folder takes the place.

    Raises:
        FileExistsError: `path` is a folder that holds files, and `replaces_folder` is False.

    Example:

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "note.txt") as partial:
    ...         _ = partial.write_text("whole")
    ...     (Path(folder) / "note.txt").read_text(), len(os.listdir(folder))
    ('whole', 1)
    """
    name, path = Path(path).name, Path(os.path.realpath(path))
    if not replaces_folder and path.is_dir() and any(path.iterdir()):
        raise PathInUseError(
            f"'{path}' is a folder that holds files and would be replaced: name another path."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(_partial_name(name))
    try:
        yield partial
        _flush_to_disk(partial)
        if path.is_dir():  # a rename replaces none by a file, and none that holds something
            shutil.rmtree(path) if replaces_folder else path.rmdir()
        os.replace(partial, path)
        _flush_to_disk(path.parent)
    finally:
        _remove(partial)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Replace the file at `path` by `text` in UTF-8, all or nothing."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def is_partial(name: str) -> bool:
    """Tell whether a file has a name that `replacing` gives while it is written.

    Args:
        name: of the file, without its folder.
    """
    return _PARTIAL.match(name) is not None


def remove_partial_files(folder: str | os.PathLike) -> None:
    """Delete what killed processes left half-written in `folder`; nothing there is ever read."""
    folder = Path(folder)
    if folder.is_dir():
        for path in folder.iterdir():
            if is_partial(path.name):
                _remove(path)


def _partial_name(name: str) -> str:
    """Name a file that is being written; of a long name only the end is kept."""
    start = f".partial-{os.getpid()}."
    return start + os.fsencode(name)[len(start) - _LONGEST_NAME :].decode(errors="ignore")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
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
