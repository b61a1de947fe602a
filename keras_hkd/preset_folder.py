"""Saves a model as a folder: an unpacked `.keras` file with float16 weights and checksums."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import tempfile
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

from keras_hkd.checked_folder import CHECKSUMS, DamagedFolderError, check_folder, replacing_folder

if TYPE_CHECKING:
    import keras

CONFIG = "config.json"
WEIGHTS = "model.weights.h5"
MEMBERS = (CONFIG, "metadata.json", WEIGHTS)
"""What the folder has of a `.keras` file: how the model is built, Keras's version, weights."""


def save_preset(model: keras.Model, folder: str | os.PathLike) -> None:
    """Write a model as a preset: configuration, weights rounded to float16, checksums.

    Args:
        model: a `Detector` or a `Classifier`; how it was compiled is left out.
        folder: new, empty, or a preset, which is replaced with all its files; one that holds files
            besides is refused.

    Raises:
        FileExistsError: the folder holds something else.
        ValueError: a weight is not finite.
    """
    from keras_hkd.half_precision import save_half_precision  # loads h5py

    with (
        replacing_folder(folder, members=MEMBERS) as partial,
        tempfile.TemporaryDirectory() as scratch,
    ):
        packed_file = pathlib.Path(scratch, "model.keras")
        save_half_precision(model, packed_file)
        with zipfile.ZipFile(packed_file) as archive:
            for member in MEMBERS:
                archive.extract(member, partial)
        config = json.loads((partial / CONFIG).read_text(encoding="utf-8"))
        config.pop("compile_config", None)
        (partial / CONFIG).write_text(json.dumps(config), encoding="utf-8")


def is_preset_folder(path: str | os.PathLike) -> bool:
    """Tell whether a path is the folder of a preset, whole or damaged.

    Args:
        path: any path.

    Example:

    >>> is_preset_folder("photo.jpg")
    False
    """
    path = pathlib.Path(path)
    return path.is_dir() and ((path / CHECKSUMS).is_file() or (path / CONFIG).is_file())


@contextlib.contextmanager
def packed(folder: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Pack a preset into a temporary `.keras` file, for Keras to load.

    Args:
        folder: a folder that `save_preset` wrote.

    Yields:
        Path of the `.keras` file.

    Raises:
        FileNotFoundError: no such folder.
        DamagedFolderError: files are missing or altered.
    """
    missing = set(MEMBERS) - check_folder(folder)
    if missing:
        raise DamagedFolderError(
            f"'{folder}' is no preset: it has no {', '.join(sorted(missing))}."
        )
    folder = pathlib.Path(folder)
    with tempfile.TemporaryDirectory() as scratch:
        file = pathlib.Path(scratch, f"{folder.name}.keras")
        with zipfile.ZipFile(file, "w") as archive:
            for member in MEMBERS:
                archive.write(folder / member, member)
        yield file
