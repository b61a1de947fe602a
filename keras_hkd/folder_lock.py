"""Locks a folder, so that one process at a time writes to it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from keras_hkd.errors import InvalidValueError
from keras_hkd.progress import error_console

_FILE = ".lock"


class FolderInUseError(InvalidValueError):
    """Another process writes to the folder."""


@contextlib.contextmanager
def folder_lock(folder: str | Path, *, wait: bool = False) -> Iterator[None]:
    """Keep other processes out of a folder while its files are written.

    The lock is the operating system's: it goes with the process, however that ends. Reading needs
    none, since files are replaced whole.

    Args:
        folder: made if need be; an empty file, `.lock`, stays in it.
        wait: wait until the other process is done, and say so on the error stream, instead of
            raising.

    Raises:
        FolderInUseError: another process is in the folder, and `wait` is False.

    Example:

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> with folder_lock(folder):
    ...     with folder_lock(folder):
    ...         pass
    Traceback (most recent call last):
    keras_hkd.folder_lock.FolderInUseError: Another process writes to ...
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / _FILE)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        if not wait:
            raise FolderInUseError(
                f"Another process writes to {folder}. Wait until it ends, or give a folder of "
                "its own."
            ) from None
        error_console().print(
            f"Waiting for another process that writes to {folder}.", markup=False, soft_wrap=True
        )
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
