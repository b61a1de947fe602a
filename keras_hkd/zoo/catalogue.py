"""Finds presets: the folders in `presets` beside this file."""

from __future__ import annotations

import os
import pathlib

from keras_hkd.errors import MissingFileError
from keras_hkd.messages import did_you_mean
from keras_hkd.preset_folder import is_preset_folder

PRESETS = pathlib.Path(__file__).parent / "presets"
DEFAULT_PRESET = "person_nano"
"""The preset that detects where none is named."""


def list_presets() -> list[str]:
    """List the names of the presets that come with the package.

    Example:

    >>> import keras_hkd
    >>> isinstance(keras_hkd.list_presets(), list)
    True
    """
    if not PRESETS.is_dir():
        return []
    return sorted(p.name for p in PRESETS.iterdir() if is_preset_folder(p) and p.name[0] != ".")


def is_preset(name_or_folder: str | os.PathLike) -> bool:
    """Tell whether a word is the name of a preset or the path of its folder.

    Args:
        name_or_folder: what a user gave.

    Example:

    >>> is_preset("photo.jpg")
    False
    """
    return str(name_or_folder) in list_presets() or is_preset_folder(name_or_folder)


def preset_folder(name_or_folder: str | os.PathLike) -> pathlib.Path:
    """Find the folder of a preset. Its files are checked when they are read.

    Args:
        name_or_folder: one of `list_presets()`, or the path of a folder that `save_to_preset`
            wrote. A name goes before a folder of the same name: write `./NAME` for that.

    Raises:
        FileNotFoundError: neither; the nearest names are shown.
    """
    names = list_presets()
    if str(name_or_folder) in names:
        return PRESETS / str(name_or_folder)
    if is_preset_folder(name_or_folder):
        return pathlib.Path(name_or_folder)
    known = f"Presets: {', '.join(names)}" if names else "This installation has no presets"
    raise MissingFileError(
        f"There is no preset {str(name_or_folder)!r}.{did_you_mean(name_or_folder, names, 3)} "
        f"{known}; another is given by its folder."
    )
