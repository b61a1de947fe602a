"""What every long proof shares: `keras-hkd` runs that leave one result file each.

A proof is a list of commands. A finished run leaves a small JSON file, which is committed, and is
not run again; a run that was killed goes on from its last checkpoint.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

from keras_hkd.json_files import write_json

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
KEPT_FACTS = ("settings", "data_hash", "teacher_hash", "training_seconds")


class Runner:
    """Trains by `keras-hkd` commands, measures, and keeps the figures.

    Args:
        runs: folder for the runs themselves, outside version control.
        records: folder for their result files.
        only: names of the runs to do; None means all.
        measure: gives the figures of a model's file on a `--data` argument; `evaluate` by default.
    """

    def __init__(self, runs, records, only=None, measure=None):
        self.runs, self.records, self.only = pathlib.Path(runs), pathlib.Path(records), only
        self.measure = measure or evaluate

    def __call__(self, name, words, tests, needed=False):
        """Trains one model unless it is finished, and measures it.

        Args:
            name: of the run.
            words: of the command, `train` or `distill` first, without `--out`.
            tests: name of a test set -> `--data` argument.
            needed: whether others start from the model: it is trained, even if left out by `only`
                or finished elsewhere, where its file is missing.

        Returns:
            Path of the trained model.
        """
        out = self.runs / name
        record = self.records / f"{name}.json"
        missing = needed and not trained_model(out).exists()
        if record.exists() and not missing:
            print(f"{name}: finished, {record.relative_to(ROOT)}")
            return trained_model(out)
        if not (self.wants(name) or missing):
            return trained_model(out)
        keras_hkd(*words, "--out", str(out), "--resume")
        file = trained_model(out)
        scores = {test: self.measure(file, source) for test, source in tests.items()}
        write_json(record, {"command": self.shown(words), **facts_of(out), "test": scores})
        return file

    def wants(self, name):
        """Whether a run is to be done: it is not finished, and not left out by `only`."""
        return not (self.records / f"{name}.json").exists() and (not self.only or name in self.only)

    def shown(self, words):
        """The command without the folders of the machine it ran on."""
        text = "keras-hkd " + " ".join(words)
        # Some proofs have a folder of their own in RUNS, and read what others left beside it.
        folders = {self.runs: "RUNS", self.runs.parent: "RUNS/..", SHARED: "../shared", ROOT: "."}
        for folder, shown in folders.items():
            text = text.replace(str(folder), shown)
        return text

    def results(self):
        """Name -> result of all finished runs."""
        files = sorted(self.records.glob("*.json"))
        return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files}


def arguments(description, runs="runs", **more):
    """What the command line of a proof says; ends the program where the photographs are missing.

    Args:
        description: the first line of its help.
        runs: the folder for runs if none is given.
        **more: further options: name -> their help.
    """
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--runs", type=pathlib.Path, default=pathlib.Path(runs))
    parser.add_argument("--only", nargs="+", help="names of runs, to share them among machines")
    for name, text in more.items():
        parser.add_argument(f"--{name}", help=text)
    given = parser.parse_args()
    need_photographs()
    given.runs = given.runs.absolute()
    return given


def need_photographs():
    """Ends the program where the photographs are missing."""
    if not (SHARED / "data").is_dir():
        sys.exit(f"No data at {SHARED}: the photographs are not part of the project.")


def facts_of(folder):
    """What a result file keeps of the record of a run: settings, hashes, time, versions."""
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    versions = {k: v for k, v in record["sessions"][-1].items() if k != "command"}
    return {**{key: record.get(key) for key in KEPT_FACTS}, "versions": versions}


def trained_model(folder):
    """The model that a run left in its folder, under whichever name its command gives it."""
    names = ("detector.keras", "classifier.keras", "student.keras")
    found = [folder / name for name in names if (folder / name).exists()]
    return found[0] if found else folder / names[-1]


def evaluate(file, source, image_size=None):
    """Scores of a saved model on one dataset, at its own image size or another."""
    size = {} if image_size is None else {"image_size": image_size}
    words = ["evaluate", str(file), *options(data=source, **size), "--json"]
    return json.loads(keras_hkd(*words, capture=True))


def keras_hkd(*words, capture=False):
    """Runs one command line; what it printed, if asked for."""
    program = pathlib.Path(sys.executable).parent / "keras-hkd"
    ended = subprocess.run(
        [str(program), *words], check=True, stdout=subprocess.PIPE if capture else None, text=True
    )
    return ended.stdout


def options(**values):
    """`--name value` words of keyword arguments; several words for a list."""
    words = []
    for name, value in values.items():
        for one in value if isinstance(value, (list, tuple)) else [value]:
            words += [f"--{name.replace('_', '-')}", str(one)]
    return words


def summary(scores, shown=None):
    """Mean and sample standard deviation of every figure that all of the results have.

    Args:
        scores: a dict of figures for each result.
        shown: names of figures; None for all.
    """
    keys = [key for key in scores[0] if all(_is_number(one.get(key)) for one in scores)]
    if shown is not None:
        keys = [key for key in keys if key in shown]
    return {key: _spread([one[key] for one in scores]) for key in keys}


def _spread(values):
    std = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.fmean(values), "std": std, "runs": len(values)}


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)
