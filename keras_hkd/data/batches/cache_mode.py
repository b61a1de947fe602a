"""Chooses where decoded pictures are kept between epochs: in memory, on disk, or nowhere."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from keras_hkd import checks
from keras_hkd.data.batches import free_memory
from keras_hkd.errors import InvalidValueError, OutOfMemoryError
from keras_hkd.progress import error_console

CacheMode = Literal["auto", "memory", "disk", "none"]
CACHE_MODES: tuple[CacheMode, ...] = ("auto", "memory", "disk", "none")

FOLDER_VARIABLE = "KERAS_HKD_CACHE_FOLDER"
"""Environment variable that names the folder of the disk mode where no option does."""

_SHARE_OF_MEMORY = 0.75
"""What `auto` takes of the free memory at most; models and batches need the rest."""
_DISK_RESERVE_BYTES = 2**30


def checked_mode(name: str, value: Any) -> CacheMode:
    """Check the word for a mode; True and False stand for "memory" and "none".

    Args:
        name: the argument's name.
        value: what the user gave.

    Raises:
        ValueError: it is no mode.

    Example:

    >>> checked_mode("cache", True), checked_mode("cache", "disk")
    ('memory', 'disk')
    """
    if isinstance(value, bool):
        return "memory" if value else "none"
    checks.one_of(name, value, CACHE_MODES)
    return value


def check_mixing(mode: CacheMode, mixing: Mapping[str, Any]) -> None:
    """Refuse the disk mode where pictures are put together from several images.

    Args:
        mode: where decoded images are to be kept.
        mixing: what is asked for of mosaics, blends, pasted people and several sizes, by name.

    Raises:
        ValueError: both are asked for.

    Example:

    >>> check_mixing("memory", {"mosaic": 0.5})
    """
    if mode == "disk" and mixing:
        raise InvalidValueError(
            "Mixed pictures are made of images in memory, or of files read in every epoch: "
            "take cache='auto', 'memory' or 'none' (on the command line --cache). Received: "
            f"cache='disk', {mixing}"
        )


def cache_folder(given: str | os.PathLike | None = None) -> Path:
    """Give the folder for decoded pictures: the given one, the environment's, or the user's.

    Args:
        given: a folder, or None for `KERAS_HKD_CACHE_FOLDER`, or if that is not set
            `keras_hkd/pictures` in `XDG_CACHE_HOME` (`~/.cache`).

    Example:

    >>> cache_folder("/data/cache").as_posix()
    '/data/cache'
    """
    if given is None:
        given = os.environ.get(FOLDER_VARIABLE) or None
    if given is not None:
        return Path(given).expanduser()
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "keras_hkd" / "pictures"


def choose_mode(num_bytes: int, folder: Path | None, held_bytes: int = 0) -> CacheMode:
    """Choose for `auto`: memory if the pictures fit, else disk if they fit there, else none.

    Args:
        num_bytes: size of all decoded pictures.
        folder: where the disk mode would keep them; None where it cannot.
        held_bytes: how much of them is there already.

    Returns:
        "memory", "disk" or "none".
    """
    free = free_memory.available_memory_bytes()
    if free is None or _peak(num_bytes) <= _SHARE_OF_MEMORY * free:
        return "memory"
    if folder is not None and missing_disk_bytes(num_bytes - held_bytes, folder) <= 0:
        return "disk"
    return "none"


def announce(mode: CacheMode, num_bytes: int, folder: Path) -> None:
    """Say on the error stream where `auto` keeps pictures that do not fit into memory.

    Args:
        mode: what was chosen.
        num_bytes: size of all decoded pictures.
        folder: where the disk mode keeps them.
    """
    if mode == "memory":
        return
    kept = f"kept on disk, in {folder}" if mode == "disk" else "decoded anew in every epoch"
    error_console().print(
        f"The decoded images take {num_bytes / 2**30:.1f} GiB, more than memory has room for: "
        f"they are {kept} (cache={mode!r}).",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def require_memory(num_bytes: int) -> None:
    """Refuse, before minutes are spent, what does not fit into memory.

    Args:
        num_bytes: size of all decoded pictures.

    Raises:
        MemoryError: they do not fit.
    """
    free, needed = free_memory.available_memory_bytes(), _peak(num_bytes)
    if free is not None and needed > free:
        raise OutOfMemoryError(
            f"The decoded images would take {needed / 2**30:.1f} GiB while they are loaded, of "
            f"{free / 2**30:.1f} GiB of free memory. Keep them on disk or decode them in every "
            "epoch (--cache auto, disk or none; in Python cache='auto'), or take a smaller "
            "`image_size`."
        )


def require_disk(num_bytes: int, folder: Path) -> None:
    """Refuse what does not fit onto the disk.

    Args:
        num_bytes: bytes that are to be written.
        folder: where.

    Raises:
        ValueError: they do not fit.
    """
    missing = missing_disk_bytes(num_bytes, folder)
    if missing > 0:
        raise InvalidValueError(
            f"The decoded images take {num_bytes / 2**30:.1f} GiB on the disk of {folder}, which "
            f"lacks {missing / 2**30:.1f} GiB for them and a reserve of 1 GiB. Name a folder on "
            "another disk (--cache-folder, in Python cache_folder=), or decode them in every epoch "
            "(--cache none)."
        )


def missing_disk_bytes(num_bytes: int, folder: Path) -> int:
    """Count the bytes that the disk of a folder lacks to take so many more; at most 0 if it fits.

    Args:
        num_bytes: bytes that are to be written.
        folder: where; it need not exist.
    """
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return num_bytes + _DISK_RESERVE_BYTES - shutil.disk_usage(folder).free


def _peak(num_bytes: int) -> int:
    return 2 * num_bytes  # the array, and its copy in TensorFlow's own memory
