"""The folder of a run: its settings, its progress and its results."""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_hkd.atomic_write import remove_partial_files, replacing
from keras_hkd.errors import InvalidValueError
from keras_hkd.json_files import plain, read_json, write_json
from keras_hkd.training.identity import require_same, require_same_run
from keras_hkd.training.workers import current_workers

if TYPE_CHECKING:
    import keras

MODEL_FILES = ("student.keras", "detector.keras", "classifier.keras")
"""Names of the trained model in the folders of `distill` and `train`."""
_RESULTS = ("metrics.json", "history.json", "balance.json", "curves.png", "gallery.png")
_PACKAGES = ("tensorflow", "keras", "keras-cv", "numpy")


class RunFolderError(InvalidValueError):
    """A folder holds a run already, files of others, or a record that cannot be read."""


class RunFolder:
    """A folder that belongs to one run, with its record in `run.json`.

    Args:
        path: the folder; made when the run begins.
        inputs: what the run was asked for beyond its settings, such as the method and the names of
            teacher and student. A run resumes only with the same.
        command: the words that started it; those of this process by default.
        model_files: names of the files of models that the run may write.

    Attributes:
        writes: False in a process that trains beside the first of several workers: it may read, and
            its calls that would check or write anything do nothing.

    Example:

    >>> import tempfile
    >>> run = RunFolder(Path(tempfile.mkdtemp()) / "run", inputs={"method": "hkd"})
    >>> run.begin({"seed": 0})
    >>> run.finish({"AP": 0.5})
    >>> RunFolder(run.path).is_finished, run.read_json("metrics.json")
    (True, {'AP': 0.5})
    """

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        inputs: Mapping[str, Any] | None = None,
        command: Sequence[str] | None = None,
        model_files: Sequence[str] = MODEL_FILES,
    ) -> None:
        self.writes = current_workers().is_first
        self.path = Path(path)
        self.inputs = plain(dict(inputs or {}))
        self.command = list(sys.argv if command is None else command)
        self.model_files = tuple(model_files)

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def is_finished(self) -> bool:
        """Whether a run ended here with results."""
        return self._record().get("status") == "finished"

    def require_free(self, resume: bool = False) -> None:
        """Refuse, before hours are spent on it, a folder that `begin` would refuse.

        Raises:
            RunFolderError: if the folder holds a run and `resume` is False, or files that the run
                would write and that no run wrote.
            DifferentRunError: with `resume`, if it holds a run with other `inputs`.
        """
        if not self.writes:
            return
        record = self._record()
        if not record:
            self._require_nothing_of_others()
            return
        if not resume:
            raise RunFolderError(
                f"{self.path} already holds a run ({record.get('status')}, started with: "
                f"{' '.join(record.get('command', []))}). Resume it (--resume, or resume=True), or "
                "choose another folder."
            )
        require_same({"inputs": record.get("inputs")}, {"inputs": self.inputs}, self.path)

    def begin(self, identity: dict, resume: bool = False, val_hash: str | None = None) -> None:
        """Write `run.json`, or check it when an earlier run is resumed.

        Args:
            identity: what decides the result (settings, seed, data hash, teacher hash).
            resume: go on with the run that the folder holds, if it holds one.
            val_hash: content hash of the images to measure on; None where there are none. A run
                that has measured goes on with the same ones; one that has not may get some.

        Raises:
            RunFolderError: as `require_free`.
            DifferentRunError: with `resume`, if it holds a run with another identity, or one that
                measures on other images.
        """
        if not self.writes:
            return
        self.require_free(resume)
        remove_partial_files(self.path)
        identity = plain(identity)
        record = self._record()
        if record:
            measured = {"val_hash": val_hash} if record.get("val_hash") else {}
            current = {**identity, **measured}
            require_same_run({key: record.get(key) for key in current}, current, self.path)
            record.update(identity)
        else:
            record = {"command": self.command, "inputs": self.inputs, **identity, "sessions": []}
        record["val_hash"] = val_hash
        record["status"] = "running"
        record["sessions"].append({"started": _now(), "command": self.command, **versions()})
        self.write_json("run.json", record)

    def finish(self, results: dict, **timing: float) -> None:
        """Write the results to `metrics.json` and close the record.

        Args:
            results: what `metrics.json` is to hold.
            **timing: durations for the record, with the unit in the name (`training_seconds`).
        """
        self.write_json("metrics.json", results)
        record = self._record() if self.writes else {}
        self.write_json("run.json", {**record, "status": "finished", "finished": _now(), **timing})

    def write_json(self, name: str, value: object) -> Path:
        """Write a JSON file into the folder, all or nothing; gives its path."""
        if self.writes:
            write_json(self.path / name, value)
        return self.path / name

    def read_json(self, name: str) -> dict:
        """Read a JSON file of the folder."""
        return read_json(self.path / name)

    def save_model(self, model: keras.Model, name: str) -> Path:
        """Save a Keras model without its optimizer into the folder, all or nothing."""
        if self.writes:
            with replacing(self.path / name) as partial, without_optimizer(model):
                model.save(partial)
        return self.path / name

    def _require_nothing_of_others(self) -> None:
        """Refuse a folder without run whose files, such as the user's own models, would be lost."""
        names = (*self.model_files, *_RESULTS)
        there = [name for name in names if os.path.lexists(self.path / name)]
        if self.checkpoints.is_dir() and any(self.checkpoints.iterdir()):
            there.append(f"{self.checkpoints.name}/")
        if there:
            raise RunFolderError(
                f"{self.path} holds no run (run.json), but files that a run would replace: choose "
                f"another folder (--out), or move them away. Received: {', '.join(there)}"
            )

    def _record(self) -> dict:
        path = self.path / "run.json"
        if not path.exists():
            return {}
        try:
            return read_json(path)
        except ValueError as error:
            raise RunFolderError(
                f"{path} is not a record that keras_hkd wrote ({error}). Choose another folder."
            ) from error


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a run computes with.

    Example:

    >>> sorted(versions())
    ['keras', 'keras_cv', 'keras_hkd', 'numpy', 'python', 'tensorflow']
    """
    import keras_hkd

    found = {"python": platform.python_version(), "keras_hkd": keras_hkd.__version__}
    for package in _PACKAGES:
        try:
            found[package.replace("-", "_")] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package.replace("-", "_")] = "not installed"
    return found


@contextlib.contextmanager
def without_optimizer(model: keras.Model) -> Iterator[None]:
    """Make a compiled model look uncompiled for a while, so that it is saved at its own size.

    Adam's slots and the moving average are three times the weights, and Keras's `.keras` format
    has no option to leave them out.
    """
    optimizer, compiled = getattr(model, "optimizer", None), getattr(model, "compiled", False)
    if not compiled:
        yield
        return
    try:
        model.optimizer, model.compiled = None, False
        yield
    finally:
        model.optimizer, model.compiled = optimizer, compiled


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
