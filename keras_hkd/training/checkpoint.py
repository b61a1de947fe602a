"""Writes and reads checkpoints, from which a run continues with bit-identical weights."""

import io
import json
import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import keras
import numpy as np

from keras_hkd.atomic_write import DAMAGE, remove_partial_files, replacing
from keras_hkd.errors import InvalidValueError
from keras_hkd.json_files import as_json, plain
from keras_hkd.training.identity import DifferentRunError, require_same_run
from keras_hkd.training.workers import current_workers

_FILE_NAME = re.compile(r"epoch_(\d+)\.npz")
_FORMAT_VERSION = 1
# Keras numbers layers of one kind in the order in which a process builds them.
_COUNTER = re.compile(r"_\d+(?=[_/]|$)")
_OTHER_STUDENT = "It was written by another student: resume with the one that began the run."


class SavedState(NamedTuple):
    """What one checkpoint file holds.

    Attributes:
        facts: `epoch` (finished epochs), `history`, `identity` (what a resumed run must share) and
            the `names` of the variables.
        variables: arrays of the model, without the teacher's, then of the optimizer.
    """

    facts: dict
    variables: list


def checkpoint_variables(model: keras.Model) -> list:
    """List the variables that a checkpoint of `model` holds, which are never the teacher's.

    Args:
        model: a Keras model. Its own `checkpoint_variables` win; otherwise all its variables but
            those of its `teachers`, or its `teacher`, if it has any.
    """
    own = getattr(model, "checkpoint_variables", None)
    if own is not None:
        return list(own() if callable(own) else own)
    teachers = getattr(model, "teachers", (getattr(model, "teacher", None),))
    hidden = {id(v) for teacher in teachers if teacher is not None for v in teacher.variables}
    return [variable for variable in model.variables if id(variable) not in hidden]


class Checkpoint(keras.callbacks.Callback):
    """Keras callback: after every epoch, write all that is needed to go on from there.

    Args:
        folder: where the files stand, named `epoch_0007.npz` after the number of finished epochs.
        identity: what must be equal when a run resumes, such as settings, data hash and teacher
            hash: plain values that JSON can hold.
        history: dict of lists that another callback fills; a copy goes into every file.
        keep: files kept; two at least, so that a damaged last one does not end a run.

    Example:

    >>> checkpoint = Checkpoint("runs/demo/checkpoints", identity={"data_hash": "1f0c"}, history={})
    >>> checkpoint.keep
    2
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        *,
        identity: Mapping[str, Any],
        history: dict[str, list],
        keep: int = 2,
    ) -> None:
        super().__init__()
        if keep < 2:
            raise InvalidValueError(
                f"Expected keep >= 2, so that one damaged file is no loss. Received: keep={keep}"
            )
        self.folder = Path(folder)
        self.identity = identity
        self.history = history
        self.keep = keep

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.save(epoch + 1)

    def save(self, epoch: int) -> Path:
        """Write the state after `epoch` finished epochs; gives the file's path.

        Of several workers the first one writes; reading a variable may take all of them.
        """
        path = self.folder / f"epoch_{epoch:04d}.npz"
        state = state_of(self.model, epoch, self.history, self.identity)
        if not current_workers().is_first:
            return path
        write_state(path, state)
        for old in list_checkpoints(self.folder)[self.keep :]:
            old.unlink(missing_ok=True)
        return path

    def restore(self, model: keras.Model) -> int:
        """Bring `model` and its optimizer to the newest whole checkpoint; fill `history` from it.

        A damaged file is reported as a warning, and the one before it is taken. Of several workers
        the first one reads, and gives to the others what it found: they need not see the folder.

        Args:
            model: compiled, with its variables and those of its optimizer built.

        Returns:
            The number of finished epochs; 0 where there is no checkpoint.

        Raises:
            DifferentRunError: if the checkpoint does not belong to this run.
            ValueError: if there are checkpoints and all of them are damaged.
        """
        workers, state = current_workers(), None
        if workers.is_first:
            remove_partial_files(self.folder)
            state = read_newest(self.folder)
            if state is not None:
                require_same_run(state.facts["identity"], plain(self.identity), self.folder)
        if workers.count > 1:
            data = workers.broadcast(b"" if state is None else packed(state))
            state = unpacked(data) if data else None
        if state is None:
            return 0
        _assign(model, state)
        self.history.clear()
        self.history.update(state.facts["history"])
        return state.facts["epoch"]


def list_checkpoints(folder: str | Path) -> list[Path]:
    """List the checkpoint files in a folder, the newest first."""
    folder = Path(folder)
    found = [(_FILE_NAME.fullmatch(path.name), path) for path in folder.glob("epoch_*.npz")]
    epochs = {path: int(match[1]) for match, path in found if match}
    return sorted(epochs, key=epochs.__getitem__, reverse=True)


def state_of(
    model: keras.Model, epoch: int, history: dict[str, list], identity: Mapping[str, Any]
) -> SavedState:
    """Read the state of a run out of a model; see `Checkpoint` for the arguments."""
    variables = _state_variables(model)
    facts = {
        "format_version": _FORMAT_VERSION,
        "epoch": epoch,
        "history": history,
        "identity": identity,
        "names": [variable.path for variable in variables],
    }
    return SavedState(facts, [keras.ops.convert_to_numpy(variable) for variable in variables])


def write_state(path: str | os.PathLike, state: SavedState) -> None:
    """Write one checkpoint, all or nothing."""
    with replacing(path) as partial, open(partial, "wb") as file:
        _write(file, state)


def packed(state: SavedState) -> bytes:
    """Return what the file of a checkpoint would hold."""
    file = io.BytesIO()
    _write(file, state)
    return file.getvalue()


def unpacked(data: bytes) -> SavedState:
    """Read what `packed` gave; every member's checksum is verified."""
    with np.load(io.BytesIO(data), allow_pickle=False) as members:
        facts = json.loads(members["facts"].tobytes())
        variables = [members[f"{i:05d}"] for i in range(len(facts["names"]))]
    return SavedState(facts, variables)


def _write(file: IO[bytes], state: SavedState) -> None:
    text = as_json(state.facts, indent=None).encode()
    arrays = {f"{i:05d}": value for i, value in enumerate(state.variables)}
    np.savez(file, facts=np.frombuffer(text, np.uint8), **arrays)


def read_state(path: str | Path) -> SavedState:
    """Read one checkpoint whole; the checksum of every member is verified.

    Raises:
        ValueError: for a file that is damaged or not a checkpoint; names the file.
    """
    try:
        state = unpacked(Path(path).read_bytes())
    except DAMAGE as error:
        raise InvalidValueError(f"The checkpoint {path} is damaged: {error}") from error
    if state.facts["format_version"] != _FORMAT_VERSION:
        raise InvalidValueError(
            f"The checkpoint {path} has format {state.facts['format_version']}; this version of "
            f"keras_hkd reads format {_FORMAT_VERSION}. Resume it with the version that wrote it."
        )
    return state


def read_newest(folder: str | Path) -> SavedState | None:
    """Read the newest whole checkpoint in a folder; None if there is none. Warn of damaged ones.

    Raises:
        ValueError: if there are checkpoints and none is whole, so that no run begins anew without
            the user knowing.
    """
    files = list_checkpoints(folder)
    for number, path in enumerate(files):
        try:
            return read_state(path)
        except ValueError as error:
            before = files[number + 1 : number + 2]
            outcome = f"Going on from {before[0].name}." if before else "There is none before it."
            warnings.warn(f"{error}. {outcome}", RuntimeWarning, stacklevel=2)
    if files:
        raise InvalidValueError(
            f"All checkpoints in {folder} are damaged: {[path.name for path in files]}. Restore "
            "them from a copy, or delete them to begin the run again."
        )
    return None


def _state_variables(model: keras.Model) -> list:
    return [*checkpoint_variables(model), *model.optimizer.variables]


def _assign(model: keras.Model, state: SavedState) -> None:
    variables, names = _state_variables(model), state.facts["names"]
    if len(variables) != len(names):
        raise DifferentRunError(
            f"The checkpoint holds {len(names)} variables, this model and its optimizer have "
            f"{len(variables)}. {_OTHER_STUDENT}"
        )
    for variable, name, value in zip(variables, names, state.variables, strict=True):
        same_name = _COUNTER.sub("", variable.path) == _COUNTER.sub("", name)
        if not same_name or tuple(variable.shape) != value.shape:
            raise DifferentRunError(
                f"The checkpoint holds {name!r} of shape {value.shape} where this model has "
                f"{variable.path!r} of shape {tuple(variable.shape)}. {_OTHER_STUDENT}"
            )
    for variable, value in zip(variables, state.variables, strict=True):
        variable.assign(value)
