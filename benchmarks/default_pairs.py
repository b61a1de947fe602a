"""Does the default help, whatever the pair? `make default`, hours on two cores, resumable.

Five pairs, three seeds each, the same budget with a teacher as alone: the default (`auto`), HKD
with balanced weights, and for YOLOV8 students the best weights that were found by hand
(docs/results/losses.md). Pairs of one student share its runs alone. The sixth pair, RTMDet to
RTMDet, is what `make proof` is about: it asks the same of four sizes. Detectors are measured on the
test lists at the size of the training, classifiers on test crops. Every run is one `keras-hkd`
command; see `proof_runs.py`. A row of `keras_hkd/distillation/default_terms.yaml` rests on these
figures: `results/default_pairs.json`.
"""

import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import NamedTuple

from figures import made_with
from proof import imported
from proof_runs import ROOT, SHARED, Runner, arguments, options
from tables import compare, table, write_table

from keras_hkd.json_files import write_json

DATA, WEIGHTS = SHARED / "data", SHARED / "weights"
RESULTS = ROOT / "benchmarks" / "results"
YOLO_TEACHER = ROOT / "benchmarks" / "weights" / "teacher_coco_person.keras"
SEEDS = (0, 1, 2)
SMALL = WEIGHTS / "mobilenet_v2_0.35_96_notop.weights.h5"
LARGE = WEIGHTS / "mobilenet_v2_1.0_224_notop.weights.h5"
TESTS = {name: f"{DATA / name}:test" for name in ("coco_person", "pennfudan", "pets_s3mf1")}
DETECTOR_BUDGET = {"image_size": 160, "batch_size": 16, "epochs": 12, "validate_every": 0}
CLASSIFIER_BUDGET = {"image_size": 64, "batch_size": 32, "epochs": 30, "validate_every": 0}
BY_HAND = {"method": "ld", "method_option": ["weight=20", "pyramid_weight=6"]}
SHOWN = ("AP", "AP50", "MR2", "accuracy", "balanced_accuracy")
LABELS = {
    "alone": "student alone",
    "auto": "student, by the default",
    "hkd": "student, by HKD",
    "by_hand": "student, weights by hand",
}


class Pair(NamedTuple):
    """A teacher, a student, and what both start from.

    Attributes:
        teacher: returns the file of the teacher, which is made first where it is missing.
        student: name or file of the student.
        kind: "detector" or "classifier".
        start: file of the weights of the student's backbone, or None.
        by_hand: options of the best method with weights set by hand, or None.
    """

    teacher: Callable[[], pathlib.Path] | None
    student: str | pathlib.Path
    kind: str = "detector"
    start: pathlib.Path | None = None
    by_hand: dict | None = None


TEACHERS = {
    "retinanet_teacher": Pair(None, "retinanet_mobilenet_v2_1.0", start=LARGE),
    "classifier_teacher": Pair(None, "mobilenet_v2_1.0", "classifier", start=LARGE),
}
"""Teachers that are trained here, each by itself, with seed 0."""


def main(runs, only=None):
    """Runs what is not finished yet; the table holds what is."""
    run = Runner(runs / "default", RESULTS / "default_pairs", only)
    crops = runs / "crops"
    for name in set(TEACHERS) & set(only or ()):
        teacher(run, name, crops)
    for name, pair in pairs(run, runs, crops).items():
        for method, how in methods(pair).items():
            for seed in SEEDS:
                wanted = run_name(name, method, seed)
                if run.wants(wanted):
                    run(wanted, words(pair, how, seed, crops), tests_of(pair, crops))
                    write_results(run)
    write_results(run)  # of result files that came from elsewhere, too


def run_name(pair, method, seed):
    """Name of a run: of the pair, or of the student alone, which the teacher does not change."""
    student = pair.rpartition("_to_")[2]
    return f"{student if method == 'alone' else pair}_{method}_{seed}"


def pairs(run, runs, crops):
    """The pairs by name."""
    yolo, retinanet = "yolo_v8_mobilenet_v2_0.35", "retinanet_mobilenet_v2_0.35"

    def rtmdet():
        return imported(runs / "proof")

    def yolo_teacher():
        return YOLO_TEACHER

    def trained(name):
        return lambda: teacher(run, name, crops)

    return {
        "rtmdet_to_yolo": Pair(rtmdet, yolo, start=SMALL, by_hand=BY_HAND),
        "yolo_to_yolo": Pair(yolo_teacher, yolo, start=SMALL, by_hand=BY_HAND),
        "yolo_to_retinanet": Pair(yolo_teacher, retinanet, start=SMALL),
        "retinanet_to_retinanet": Pair(trained("retinanet_teacher"), retinanet, start=SMALL),
        "classifiers": Pair(trained("classifier_teacher"), "cnn_small", "classifier"),
    }


def teacher(run, name, crops):
    """File of one of `TEACHERS`; trained, even if it was before, where the file is gone."""
    of = TEACHERS[name]
    return run(name, words(of, None, 0, crops), tests_of(of, crops), needed=True)


def methods(pair):
    """Options of `keras-hkd distill` by name; None is the student alone."""
    found = {"alone": None, "auto": {"method": "auto"}}
    if pair.kind == "detector":
        found["hkd"] = {"method": "hkd"}
    if pair.by_hand:
        found["by_hand"] = pair.by_hand
    return found


def tests_of(pair, crops):
    """Test sets of a pair: name -> `--data` argument."""
    return TESTS if pair.kind == "detector" else {"crops": f"{crops / 'objects'}:test"}


def words(pair, how, seed, crops):
    """Words of the command of one run."""
    if pair.kind == "detector":
        data = [f"{DATA / name}:train" for name in ("coco_person", "coco_person_nc")]
        common = options(data=data, seed=seed, **DETECTOR_BUDGET)
    else:
        program = pathlib.Path(__file__).with_name("object_crops.py")
        subprocess.run([sys.executable, str(program), "--out", str(crops)], check=True)
        common = options(data=f"{crops / 'objects'}:train", seed=seed, **CLASSIFIER_BUDGET)
    if pair.start is not None:
        common += options(backbone_weights=pair.start)
    if how is None:
        return ["train", *options(**{pair.kind: pair.student}), *common]
    return ["distill", *options(teacher=pair.teacher(), student=pair.student, **how), *common]


def write_results(run):
    """Means, deviations and gains of the methods that have all seeds; the page's tables."""
    results, found = run.results(), {}
    for pair in [run.removesuffix("_auto_0") for run in results if run.endswith("_auto_0")]:
        groups = {name: [run_name(pair, name, seed) for seed in SEEDS] for name in LABELS}
        compared = compare(results, groups, results[f"{pair}_auto_0"]["test"], SHOWN)
        if len(compared) > 1:  # not the student alone
            found[pair] = compared
    write_json(
        RESULTS / "default_pairs.json",
        {"command": "make default", "made_with": made_with(), "pairs": found},
    )
    for pair, compared in found.items():
        write_table("results/default.md", pair, table(compared, LABELS))


if __name__ == "__main__":
    given = arguments(__doc__)
    main(given.runs, given.only)
