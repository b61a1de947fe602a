"""Reads what run folders hold, and groups the runs that differ by their seed alone."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_hkd.errors import InvalidValueError, MissingFileError
from keras_hkd.json_files import read_json
from keras_hkd.messages import told_apart
from keras_hkd.training.run_folder import MODEL_FILES

_NO_FIGURES = ("measured_on", "num_images", "data_hash")


@dataclasses.dataclass(frozen=True, eq=False)
class RunRecord:
    """What the folder of one run says.

    Attributes:
        path: the folder.
        record: `run.json`.
        history: `history.json`: lists with an entry per epoch; {} if there is none.
        metrics: `metrics.json`: dicts by model, and what they were measured on; {} if unfinished,
            also where the run had finished and is being made longer.
        balance: `balance.json`: how terms were balanced; {} if they were not.
    """

    path: Path
    record: dict[str, Any]
    history: dict[str, list]
    metrics: dict[str, Any]
    balance: dict[str, Any]

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.name

    @property
    def is_finished(self) -> bool:
        """Whether it came to its end."""
        return self.record.get("status") == "finished"

    @property
    def inputs(self) -> dict[str, Any]:
        """What was asked for beyond the settings."""
        return self.record.get("inputs") or {}

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the training."""
        return self.record.get("settings") or {}

    @property
    def seed(self) -> int | None:
        """Seed of the training."""
        return self.settings.get("seed")

    @property
    def image_size(self) -> tuple[int, int] | None:
        """`(height, width)` in pixels of the training."""
        size = self.settings.get("image_size")
        return None if size is None else (int(size[0]), int(size[1]))

    @property
    def is_distilled(self) -> bool:
        """Whether a Distiller was trained."""
        return bool(self.record.get("distillation")) or self.inputs.get("command") == "distill"

    @property
    def model(self) -> str:
        """Name of what was trained."""
        keys = ("student", "detector", "classifier", "model")
        return next((str(self.inputs[key]) for key in keys if self.inputs.get(key)), "student")

    @property
    def results(self) -> dict[str, dict[str, Any]]:
        """Figures by model, as measured at the end of the run."""
        rows = self.metrics.items()
        return {
            name: row for name, row in rows if isinstance(row, dict) and name not in _NO_FIGURES
        }

    @property
    def student_results(self) -> dict[str, Any]:
        """Figures of what was trained: those of the last model."""
        found = list(self.results.values())
        return found[-1] if found else {}

    @property
    def teacher_results(self) -> dict[str, Any]:
        """Figures of the teacher as the run measured it; {} where it did not."""
        return self.results.get("teacher", {})

    @property
    def model_file(self) -> Path | None:
        """The trained model, or None if the run did not come to its end."""
        if "finished" in self.record and not self.is_finished:  # the file is of the shorter run
            return None
        files = [self.path / name for name in MODEL_FILES]
        return next((file for file in files if file.is_file()), None)

    @property
    def command(self) -> str:
        """The words that began the run, as they can be given to a shell."""
        words = [str(word) for word in self.record.get("command") or ()]
        if words and os.path.basename(words[0]).startswith("keras-hkd"):
            words[0] = os.path.basename(words[0])
        return shlex.join(words)

    def points(self, key: str) -> list[tuple[float, float | None]]:
        """Return pairs of an epoch and a figure of the history, where it was measured."""
        rows = enumerate(self.history.get(key, ()), start=1)
        return [(number, value) for number, value in rows if value is not None]

    @property
    def teacher_name(self) -> str | None:
        """The file or preset that `--teacher` named."""
        words = [str(word) for word in self.record.get("command") or ()]
        for number, word in enumerate(words):
            if word == "--teacher" and number + 1 < len(words):
                return words[number + 1]
            if word.startswith("--teacher="):
                return word.partition("=")[2]
        return None

    @property
    def sessions(self) -> list[dict[str, Any]]:
        """When it was started or resumed, and with which versions."""
        return self.record.get("sessions") or []


@dataclasses.dataclass(frozen=True, eq=False)
class RunGroup:
    """Runs that differ by their seed alone.

    Attributes:
        name: what the report calls them.
        runs: in the order of their seeds.
    """

    name: str
    runs: tuple[RunRecord, ...]

    @property
    def is_distilled(self) -> bool:
        """Whether they are distilled."""
        return self.runs[0].is_distilled

    def by_seed(self, key: str) -> dict[int | None, float]:
        """Return a figure of the students by seed, where it was measured."""
        found = {run.seed: run.student_results.get(key) for run in self.runs}
        return {seed: float(value) for seed, value in found.items() if value is not None}


def read_run(path: str | os.PathLike) -> RunRecord:
    """Read the folder of a run.

    Args:
        path: what `--out` of `keras-hkd train` or `distill`, or a `RunFolder`, was.

    Raises:
        FileNotFoundError: the folder holds no run.
        ValueError: a file in it is no JSON object.
    """
    folder = Path(path)
    if not (folder / "run.json").is_file():
        raise MissingFileError(
            f"{folder} holds no run: expected a folder that `keras-hkd train` or `keras-hkd "
            f"distill` wrote, with a run.json. Received: {folder}"
        )
    files = [_read(folder / f"{name}.json") for name in ("run", "history", "metrics", "balance")]
    run = RunRecord(folder, *files)
    return run if run.is_finished else dataclasses.replace(run, metrics={})


def group_runs(runs: Sequence[RunRecord]) -> list[RunGroup]:
    """Group runs that differ by their seed alone; those that are not distilled come first.

    Args:
        runs: what `read_run` gave.

    Returns:
        `RunGroup`s in the order in which their first runs were given.

    Raises:
        ValueError: no run, or one folder twice.
    """
    if not runs:
        raise InvalidValueError("Expected at least one run. Received: none")
    paths = [run.path.resolve() for run in runs]
    twice = {str(path) for path in paths if paths.count(path) > 1}
    if twice:
        raise InvalidValueError(f"Expected every run once. Received twice: {', '.join(twice)}")
    grouped: dict[str, list[RunRecord]] = {}
    for run in runs:
        key, others = _identity(run), grouped
        while run.seed in [other.seed for other in others.get(key, ())]:
            key += "'"  # the same settings and seed, yet another folder
        grouped.setdefault(key, []).append(run)
    groups = sorted(grouped.values(), key=lambda group: group[0].is_distilled)
    several = len({run.model for run in runs}) > 1
    names = [_name(group[0], several) for group in groups]
    folders = told_apart([group[0].path for group in groups])
    named = []
    for group, name, folder in zip(groups, names, folders, strict=True):
        shown = f"{name} ({folder})" if names.count(name) > 1 else name
        group.sort(key=lambda run: (run.seed is None, run.seed or 0))
        named.append(RunGroup(shown, tuple(group)))
    return named


def partner_of(group: RunGroup, groups: Sequence[RunGroup]) -> RunGroup | None:
    """Find the students trained alone that a distilled group is to be compared with.

    They are the first of the same model and training images, or else of the same model, trained for
    as many epochs if there is a choice.

    Args:
        group: a distilled group.
        groups: all groups.
    """
    first = group.runs[0]

    def fit(other: RunGroup) -> tuple[bool, bool, bool]:
        run = other.runs[0]
        return (
            run.model == first.model,
            run.record.get("data_hash") == first.record.get("data_hash"),
            run.settings.get("epochs") == first.settings.get("epochs"),
        )

    alone = [other for other in groups if not other.is_distilled]
    return max(alone, key=fit) if alone else None


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = read_json(path)
    except ValueError as error:
        raise InvalidValueError(f"{path} is not a file that keras_hkd wrote: {error}") from error
    if not isinstance(found, dict):
        raise InvalidValueError(f"{path} must hold a JSON object. Received: {type(found).__name__}")
    return found


def _identity(run: RunRecord) -> str:
    settings = {key: value for key, value in run.settings.items() if key != "seed"}
    parts = [settings, run.inputs, run.record.get("distillation"), run.record.get("data_hash")]
    return json.dumps([*parts, run.record.get("teacher_hash")], sort_keys=True)


def _name(run: RunRecord, several: bool) -> str:
    if run.is_distilled:
        name = f"distilled: {run.inputs.get('method', 'custom terms')}"
    else:
        name = "student alone"
    return f"{run.model}, {name}" if several else name
