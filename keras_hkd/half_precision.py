"""Saves models with float16 weights, which become float32 again when they are loaded."""

from __future__ import annotations

import os
import pathlib
import tempfile
import zipfile
from typing import TYPE_CHECKING

import h5py
import numpy

from keras_hkd.atomic_write import replacing
from keras_hkd.errors import InvalidValueError

if TYPE_CHECKING:
    import keras

WEIGHTS_MEMBER = "model.weights.h5"


def save_half_precision(model: keras.Model, path: str | os.PathLike) -> None:
    """Save a model as `.keras` with its float32 weights rounded to float16.

    Such a file is read by `load_detector` and `keras.saving.load_model` like any other; the
    optimizer's state is left out. A weight with values beyond the range of float16 stays float32.

    Args:
        model: a `Detector` or a `Classifier`.
        path: the `.keras` file; written under a temporary name first, then renamed.

    Raises:
        ValueError: a weight is not finite.
    """
    with replacing(path) as half, tempfile.TemporaryDirectory() as folder:
        whole = pathlib.Path(folder, "whole.keras")
        model.save(whole, include_optimizer=False)
        _rewrite(whole, half, folder)


def _rewrite(whole: pathlib.Path, half: pathlib.Path, folder: str) -> None:
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(half, "w") as target:
        for member in source.namelist():
            if member != WEIGHTS_MEMBER:
                target.writestr(member, source.read(member), zipfile.ZIP_DEFLATED)
                continue
            with h5py.File(source.extract(member, folder)) as wide:
                narrow_path = os.path.join(folder, "narrow.h5")
                with h5py.File(narrow_path, "w", libver="latest") as narrow:  # less overhead
                    _copy(wide, narrow)
            target.write(narrow_path, member, zipfile.ZIP_DEFLATED)


def _copy(source: h5py.Group, target: h5py.Group) -> None:
    for key, value in source.attrs.items():
        target.attrs[key] = value
    for name, item in source.items():
        if isinstance(item, h5py.Group):
            _copy(item, target.create_group(name))
            continue
        array = item[()]
        if array.dtype == numpy.float32:
            if not numpy.all(numpy.isfinite(array)):
                raise InvalidValueError(
                    f"Weight '{item.name}' has values that are not finite: the model is of no use."
                )
            if numpy.max(numpy.abs(array), initial=0) <= numpy.finfo(numpy.float16).max:
                array = array.astype(numpy.float16)
        target.create_dataset(name, data=array)
