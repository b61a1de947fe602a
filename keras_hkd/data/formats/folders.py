"""Files in folders and the folders inside, in a fixed order, hidden ones left aside."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from keras_hkd.data.image_files import SUFFIXES


def files_below(folder: Path, endings: str | Sequence[str]) -> Iterator[Path]:
    """Give the files in a folder and all inside whose names end so, in any case; folder by folder.

    Args:
        folder: where to begin; links to folders are followed.
        endings: such as ".txt".
    """
    endings = (endings,) if isinstance(endings, str) else tuple(endings)
    seen = set()
    for place, inside, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            inside.clear()
            continue
        seen.add(real)
        inside[:] = sorted(name for name in inside if not name.startswith("."))
        for name in sorted(files):
            if name.lower().endswith(endings) and not name.startswith("."):
                yield Path(place, name)


def pictures_below(folder: Path) -> Iterator[Path]:
    """Give the pictures in a folder and all inside; see `files_below`."""
    return files_below(folder, SUFFIXES)


def named_folder(folder: Path, *names: str) -> Path | None:
    """Give the folder inside another that has one of these names, in any case; None for none.

    Args:
        folder: where to look.
        names: in the order of preference.
    """
    try:
        inside = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    except OSError:
        return None
    for name in names:
        for found in inside:
            if found.casefold() == name.casefold():
                return Path(folder, found)
    return None
