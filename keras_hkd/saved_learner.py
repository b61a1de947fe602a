"""What a learner's file says beyond its class: computing in float32, and which layers are frozen.

Mixed precision is a way to train. What is saved or exported computes in float32, as its weights
are, so that a phone's converter takes it and the next program need not know how it was trained.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import tempfile
import zipfile
from collections.abc import Iterator
from typing import Any

import h5py
import keras

from keras_hkd.atomic_write import replacing
from keras_hkd.checks import one_of
from keras_hkd.errors import InvalidValueError

MIXED = ("mixed_float16", "mixed_bfloat16")
_MODEL_SUFFIXES = (".keras", ".h5", ".hdf5")
WEIGHTS_SUFFIX = ".weights.h5"


def in_float32(learner: Any) -> Any:
    """Return the learner if it computes in float32, else a copy with its weights that does.

    Args:
        learner: a `Learner`, built under whatever dtype policy.
    """
    return in_precision(learner, "float32")


def in_precision(learner: Any, precision: str) -> Any:
    """Return the learner if it computes in a precision, else a copy with its weights that does.

    Weights stay in float32. A teacher that computes in half precision takes half the time and
    memory of a GPU, whatever the precision of its student.

    Args:
        learner: a `Learner`, built under whatever dtype policy.
        precision: `"float32"`, `"mixed_float16"` or `"mixed_bfloat16"`.

    Raises:
        ValueError: another precision.
    """
    one_of("precision", precision, ("float32", *MIXED))
    found = {str(getattr(one.dtype_policy, "name", "")) for one in learner._flatten_layers()}
    if not any(name in MIXED and name != precision for name in found):
        if precision in found or precision == "float32":
            return learner
    config = keras.saving.serialize_keras_object(learner)
    config.pop("compile_config", None)
    text = json.dumps(_with_policy(config, precision))
    for name in MIXED:
        text = text.replace(f'"{name}"', f'"{precision}"')
    with computing_in(precision):
        copy = keras.saving.deserialize_keras_object(json.loads(text))
    copy.set_weights(learner.get_weights())
    return copy


@contextlib.contextmanager
def computing_in(policy: str | None) -> Iterator[None]:
    """Build layers under a dtype policy, for as long as the `with` block lasts.

    Args:
        policy: name of a policy; None for the one that is set.
    """
    before = keras.config.dtype_policy()
    if policy is not None:
        keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _with_policy(config: Any, precision: str) -> Any:
    """Put a precision in the place of the dtype policies of a serialised model.

    They stand there as Keras serialises them, or by name under `dtype_policy`.
    """
    if isinstance(config, list):
        return [_with_policy(one, precision) for one in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy":
        return {**config, "config": {**config["config"], "name": precision}}
    return {
        key: precision if key == "dtype_policy" else _with_policy(one, precision)
        for key, one in config.items()
    }


def compiled_like(copy: Any, learner: Any) -> Any:
    """Return the copy of a learner how it was compiled, and the state of its optimizer."""
    if copy is not learner and learner.compiled and learner.optimizer is not None:
        copy.compile_from_config(learner.get_compile_config())
        for mine, its in zip(copy.optimizer.variables, learner.optimizer.variables, strict=True):
            mine.assign(its)
    return copy


def save_whole(
    learner: Any,
    filepath: Any,
    overwrite: bool = True,
    include_optimizer: bool = True,
    **kwargs: Any,
) -> None:
    """Save a learner as `keras.Model.save`, in float32; a file is replaced once the new is whole.

    Args:
        learner: a `Learner`.
        filepath: what `keras.Model.save` takes. What is no file here, or is asked about because it
            exists and `overwrite` is False, Keras writes itself.
        overwrite: as `keras.Model.save` takes it.
        include_optimizer: as `keras.Model.save` takes it.
        **kwargs: further options of `keras.Model.save`.
    """
    model = in_float32(learner)
    if include_optimizer:
        compiled_like(model, learner)
    path = os.fspath(filepath) if isinstance(filepath, (str, os.PathLike)) else ""
    is_file = path.endswith(_MODEL_SUFFIXES) and "://" not in path
    is_file = is_file and kwargs.get("zipped") is not False
    is_asked_about = not overwrite and os.path.exists(path)
    whole = is_file and not is_asked_about
    with replacing(path) if whole else contextlib.nullcontext(filepath) as place:
        keras.Model.save(model, place, overwrite, include_optimizer=include_optimizer, **kwargs)


def frozen_layers(learner: Any) -> dict:
    """Return the entry of a learner's config that names frozen layers; empty without any.

    A model whose every layer is frozen was a teacher, which is a role and not a part of it.

    Args:
        learner: a `Learner` with a `network`, and the `model` that it was made of.
    """
    frozen = {}
    for part, layers in _parts(learner).items():
        found = [number for number, layer in enumerate(layers) if not layer.trainable]
        if found:
            frozen[part] = [len(layers), *found]
    return {"frozen_layers": frozen} if frozen and learner.trainable else {}


def freeze_layers(learner: Any, frozen: Any) -> None:
    """Freeze the layers that `frozen_layers` named, unless the network is another one.

    Args:
        learner: a `Learner`.
        frozen: what the config holds; None for nothing.
    """
    parts = _parts(learner)
    for part, (count, *numbers) in (frozen or {}).items():
        layers = parts.get(part, ())
        if len(layers) == count:
            for number in numbers:
                layers[number].trainable = False


def _parts(learner: Any) -> dict[str, list]:
    return {name: list(getattr(learner, name)._flatten_layers()) for name in ("model", "network")}


@contextlib.contextmanager
def weights_of_student(path: str | os.PathLike) -> Iterator[str]:
    """Make a file of a student's weights alone, out of a file of the weights of its Distiller.

    Args:
        path: what `load_weights` was given; any other file is handed back as it is.
    """
    path = str(path)
    with contextlib.ExitStack() as stack:
        if path.endswith(WEIGHTS_SUFFIX) and pathlib.Path(path).is_file():
            file = stack.enter_context(h5py.File(path))
            if is_of_distiller(file):
                folder = stack.enter_context(tempfile.TemporaryDirectory())
                part = file["learner"]
                while "first" in part:  # peers, of which the first ships
                    part = part["first"]
                path = os.path.join(folder, f"student{WEIGHTS_SUFFIX}")
                with h5py.File(path, "w") as student:
                    for name in part:
                        file.copy(part[name], student, name)
        yield path


def refuse_other_files(path: pathlib.Path, kind: str) -> None:
    """Refuse a file that holds weights, the state of a run or no model, and say what is to be had.

    Args:
        path: a file that is to hold a model.
        kind: what is expected in it.

    Raises:
        ValueError: it is a checkpoint of a run, holds weights alone, or is damaged.
    """
    if path.suffix == ".npz":
        raise InvalidValueError(
            f"'{path}' is a checkpoint: the state of a run of training, without the {kind} itself. "
            "The run writes its model when it ends: give the command that began it once more with "
            "--resume (with --epochs lowered to the epochs that are done, to end it there), or "
            "call keras_hkd.training.train_model(..., resume=True)."
        )
    if not path.name.endswith(WEIGHTS_SUFFIX):
        if not zipfile.is_zipfile(path):
            raise InvalidValueError(
                f"'{path}' could not be read as a Keras model: it is damaged, or no .keras file "
                f"that `{kind}.save` wrote. Received: {path.stat().st_size:,} bytes that are no "
                "zip archive"
            )
        return
    with h5py.File(path) as file:
        whose = "a Distiller with its student" if is_of_distiller(file) else f"a {kind}"
    raise InvalidValueError(
        f"'{path}' holds the weights of {whose}, and not how it is built: build the {kind} as it "
        f"was and call `{kind}.load_weights('{path.name}')`, which of a Distiller's weights takes "
        "the student's."
    )


def is_of_distiller(file: Any) -> bool:
    """Tell whether an open HDF5 file of weights is a Distiller's."""
    return "learner" in file and "network" not in file
