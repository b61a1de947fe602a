"""The proof on photographs: `make real`, hours on two cores, resumable at any moment.

Trains one teacher, then for each seed the student alone and the student distilled with the same
budget, on `coco_person` and `coco_person_nc` (train), and measures all of them on the test lists of
`coco_person`, `pennfudan` and `pets_s3mf1`. A second pair sees `coco_person` alone, whose
photographs are openly licensed; its student becomes `benchmarks/weights/student_coco_person.keras`.
Every run is one `keras-hkd` command, in a folder of its own below `--runs`; a finished run leaves
one small file in `benchmarks/results/real_hkd/` and is not run again.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

from keras_hkd.training.atomic_write import write_json

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "real_hkd.json"
RUN_RESULTS = ROOT / "benchmarks" / "results" / "real_hkd"
OPEN_STUDENT = ROOT / "benchmarks" / "weights" / "student_coco_person.keras"
TEACHER, STUDENT = "yolo_v8_mobilenet_v2_1.0", "yolo_v8_mobilenet_v2_0.35"
WEIGHTS = {
    TEACHER: "mobilenet_v2_1.0_224_notop.weights.h5",
    STUDENT: "mobilenet_v2_0.35_96_notop.weights.h5",
}
BUDGET = ("--image-size", "192", "--batch-size", "16", "--validate-every", "0")
EPOCHS, OPEN_EPOCHS = 24, 40  # the open pair sees half the photographs: about as many steps
HKD = ("pyramid_weight=0.5", "region_weight=30", "logit_weight=30")
TESTS = ("coco_person", "pennfudan", "pets_s3mf1")
SEEDS = (0, 1, 2)
KEYS = ("AP", "AP50", "MR2")


def main(shared, runs):
    """Runs what is not finished yet and writes the table."""
    run = Runner(shared, runs)
    alone, both = ("coco_person",), ("coco_person", "coco_person_nc")
    run("teacher_open", train(TEACHER, 0), alone, OPEN_EPOCHS)
    teacher = runs / "teacher_open" / "detector.keras"
    run("distilled_open", distil(teacher, 0), alone, OPEN_EPOCHS)
    save_open_student(runs / "distilled_open" / "student.keras")
    run("teacher", train(TEACHER, 0), both, EPOCHS)
    teacher = runs / "teacher" / "detector.keras"
    for seed in SEEDS:
        run(f"alone_{seed}", train(STUDENT, seed), both, EPOCHS)
        run(f"distilled_{seed}", distil(teacher, seed), both, EPOCHS)
    write_results()


def train(detector, seed):
    """Words of `keras-hkd train` but for data and folder."""
    return ("train", "--detector", detector, "--seed", str(seed)), detector


def distil(teacher, seed):
    """Words of `keras-hkd distill` but for data and folder."""
    options = [word for option in HKD for word in ("--method-option", option)]
    words = ("distill", "--teacher", str(teacher), "--student", STUDENT, "--seed", str(seed))
    return (*words, *options), STUDENT


class Runner:
    """Runs commands that leave a result file, and skips those that left one."""

    def __init__(self, shared, runs):
        self.shared, self.runs = shared, runs

    def __call__(self, name, command, datasets, epochs):
        """Trains and measures one detector."""
        record = RUN_RESULTS / f"{name}.json"
        if record.exists():
            print(f"{name}: finished, {record.relative_to(ROOT)}")
            return
        words, detector = command
        data = [w for d in datasets for w in ("--data", f"{self.shared / 'data' / d}:train")]
        val = ("--val", f"{self.shared / 'data' / 'coco_person'}:val")
        weights = ("--backbone-weights", str(self.shared / "weights" / WEIGHTS[detector]))
        out = self.runs / name
        words = (*words, *BUDGET, "--epochs", str(epochs))
        keras_hkd(*words, *data, *val, *weights, "--out", str(out), "--resume")
        file = out / ("detector.keras" if words[0] == "train" else "student.keras")
        scores = {test: self.evaluate(file, test) for test in TESTS}
        facts = json.loads((out / "run.json").read_text(encoding="utf-8"))
        kept = ("settings", "data_hash", "teacher_hash", "training_seconds")
        shown = [*words, *(f"--data {d}:train" for d in datasets)]
        result = {
            "command": "keras-hkd " + " ".join(shown).replace(str(self.runs), "runs/real"),
            **{key: facts.get(key) for key in kept},
            "versions": {k: v for k, v in facts["sessions"][-1].items() if k != "command"},
            "test": scores,
        }
        write_json(record, result)

    def evaluate(self, file, test):
        """Scores of a saved detector on one test list."""
        source = f"{self.shared / 'data' / test}:test"
        printed = keras_hkd("evaluate", str(file), "--data", source, "--json", capture=True)
        return json.loads(printed)


def keras_hkd(*words, capture=False):
    """Runs one command line; what it printed, if asked for."""
    program = pathlib.Path(sys.executable).parent / "keras-hkd"
    ended = subprocess.run(
        [str(program), *words], check=True, stdout=subprocess.PIPE if capture else None, text=True
    )
    return ended.stdout


def save_open_student(file):
    """Commits the student of the openly licensed photographs in half precision."""
    from keras_hkd.detectors import load_detector, save_half_precision

    if file.exists():
        OPEN_STUDENT.parent.mkdir(exist_ok=True)
        save_half_precision(load_detector(file), OPEN_STUDENT)


def write_results():
    """Gathers the files of the runs into one, with means and standard deviations."""
    runs = {path.stem: json.loads(path.read_text()) for path in sorted(RUN_RESULTS.glob("*.json"))}
    table = {}
    for group in ("teacher", "alone", "distilled"):
        names = [name for name in runs if name == group or name.startswith(f"{group}_")]
        names = [name for name in names if not name.endswith("_open")]
        table[group] = {test: summary([runs[n]["test"][test] for n in names]) for test in TESTS}
    write_json(RESULTS, {"command": "make real", "summary": table, "runs": runs})
    print(json.dumps(table, indent=1))


def summary(scores):
    """Mean and sample standard deviation of each figure."""
    return {
        key: {
            "mean": statistics.fmean(values),
            "std": statistics.stdev(values) if len(values) > 1 else None,
            "runs": len(values),
        }
        for key in (*KEYS, "parameters")
        if (values := [one[key] for one in scores])
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=pathlib.Path, default=ROOT.parent / "shared")
    parser.add_argument("--runs", type=pathlib.Path, default=pathlib.Path("runs/real"))
    given = parser.parse_args()
    if not (given.shared / "data").is_dir():
        sys.exit(f"No data at {given.shared}: pass --shared FOLDER with data/ and weights/ in it.")
    main(given.shared, given.runs)
