"""The six systems on photographs: `make systems`, about six hours on two cores, resumable.

Every system is compared with the same student without it, same data and budget, three seeds:

- detectors: a MobileNetV2 0.35 student on `coco_person` (train), alone and under HKD, ADL and SAD
  (`coco_person_nc` with its labels set aside); the teacher is that of `real_hkd.py` which saw
  `coco_person` alone. An epoch of SAD has twice the steps, so it gets half the epochs.
- classifiers: a compact CNN on crops of objects that two public detectors agree on, and on crops of
  people and background (`object_crops.py`), alone and under HSAKD, HSSAKD, LW-KD and OSAKD.
- HSAKD as a backbone: MobileNetV2 0.35 distilled on the object crops, or trained on them alone,
  then put into the detector, which is trained on `coco_person`.

Every run is one `keras-hkd` command; see `proof_runs.py`. Figures: `results/systems.json`; what
they mean: `docs/results/systems.md`.
"""

import pathlib
import subprocess
import sys

from proof_runs import SHARED, Runner, arguments, options, summary
from real_hkd import LIGHTER, RESULTS, SEEDS

from keras_hkd.json_files import write_json
from keras_hkd.report import markdown_table

DATA, WEIGHTS = SHARED / "data", SHARED / "weights"

DETECTOR = "yolo_v8_mobilenet_v2_0.35"
DETECTOR_WEIGHTS = WEIGHTS / "mobilenet_v2_0.35_96_notop.weights.h5"
DETECTOR_BUDGET = {"image_size": 160, "batch_size": 16, "validate_every": 0}
DETECTOR_EPOCHS = 24
DETECTOR_SYSTEMS = {
    "hkd": {"method_option": LIGHTER},
    "adl": {},
    "sad": {"unlabelled": f"{DATA / 'coco_person_nc'}:train"},
}

CLASSIFIER, CLASSIFIER_TEACHER = "cnn_small", "mobilenet_v2_1.0"
CLASSIFIER_TEACHER_WEIGHTS = WEIGHTS / "mobilenet_v2_1.0_224_notop.weights.h5"
CLASSIFIER_BUDGET = {"image_size": 64, "batch_size": 32, "validate_every": 0, "epochs": 30}
CLASSIFIER_SYSTEMS = ("hsakd", "hssakd", "lw_kd", "osakd")
CROPS = ("objects", "person_background")

BACKBONE = "mobilenet_v2_0.35"
COMPARED_WITH = {
    **{f"detector_{method}": "detector_alone" for method in DETECTOR_SYSTEMS},
    **{f"{kind}_{method}": f"{kind}_alone" for kind in CROPS for method in CLASSIFIER_SYSTEMS},
    "backbone_hsakd": "backbone_alone",
    "detector_backbone_hsakd": "detector_backbone_alone",
}
SHOWN = {"detectors": ("AP", "AP50", "MR2"), "classifiers": ("accuracy", "balanced_accuracy")}


def main(runs, only=None):
    """Runs what is not finished yet and writes the table; with `only`, those runs and no table."""
    run = Runner(runs / "systems", RESULTS / "systems", only)
    crops = runs / "crops"
    program = [sys.executable, str(pathlib.Path(__file__).with_name("object_crops.py"))]
    subprocess.run([*program, "--out", str(crops)], check=True)
    for kind in CROPS:
        classifiers(run, crops / kind, kind)
    detectors(run, runs / "real" / "teacher_open" / "detector.keras")
    backbones(run, crops / "objects")
    if not only:
        write_results(run)


def detectors(run, teacher):
    """HKD, ADL and SAD against the detector alone."""
    if not teacher.exists():
        sys.exit(f"{teacher} is missing: run `make real` first, it trains the teacher.")
    tests = {"coco_person": f"{DATA / 'coco_person'}:test"}
    for seed in SEEDS:
        run(f"detector_alone_{seed}", train_detector(seed, DETECTOR_WEIGHTS), tests)
        for method, more in DETECTOR_SYSTEMS.items():
            words = ["distill", *options(method=method, teacher=teacher, student=DETECTOR, **more)]
            epochs = DETECTOR_EPOCHS // 2 if method == "sad" else DETECTOR_EPOCHS
            words += detector_data(seed, DETECTOR_WEIGHTS, epochs)
            run(f"detector_{method}_{seed}", words, tests)


def train_detector(seed, weights):
    """Words that train the detector alone from the weights of a backbone."""
    words = ["train", *options(detector=DETECTOR)]
    return [*words, *detector_data(seed, weights, DETECTOR_EPOCHS)]


def detector_data(seed, weights, epochs):
    """Words for the photographs and the budget."""
    data = {"data": f"{DATA / 'coco_person'}:train", "val": f"{DATA / 'coco_person'}:val"}
    more = {"backbone_weights": weights, "seed": seed, "epochs": epochs}
    return options(**data, **more, **DETECTOR_BUDGET)


def classifiers(run, crops, kind):
    """HSAKD, HSSAKD, LW-KD and OSAKD against the classifier alone."""
    tests = {"test": f"{crops}:test"}
    words = ["train", *options(classifier=CLASSIFIER_TEACHER, data=f"{crops}:train", seed=0)]
    words += options(backbone_weights=CLASSIFIER_TEACHER_WEIGHTS, **CLASSIFIER_BUDGET)
    teacher = run(f"{kind}_teacher", words, tests)
    for seed in SEEDS:
        common = options(data=f"{crops}:train", seed=seed, **CLASSIFIER_BUDGET)
        words = ["train", *options(classifier=CLASSIFIER), *common]
        run(f"{kind}_alone_{seed}", words, tests)
        teachers = {
            "hsakd": {"teacher": branched(run, kind) if seed else teacher},
            "hssakd": {"teacher": CLASSIFIER},
        }
        for method in CLASSIFIER_SYSTEMS:
            pair = options(method=method, student=CLASSIFIER, **teachers.get(method, {}))
            run(f"{kind}_{method}_{seed}", ["distill", *pair, *common], tests)


def branched(run, kind):
    """The teacher with branches that the first HSAKD run trained; all others take it as it is."""
    return run.runs / f"{kind}_hsakd_0" / "teacher" / "teacher.keras"


def backbones(run, crops):
    """The detector whose backbone HSAKD distilled, against one trained on the same crops alone."""
    from keras_hkd.classifiers import load_classifier, save_backbone

    teacher = branched(run, "objects")
    crop_tests = {"test": f"{crops}:test"}
    tests = {"coco_person": f"{DATA / 'coco_person'}:test"}
    for seed in SEEDS:
        common = options(data=f"{crops}:train", seed=seed, backbone_weights=DETECTOR_WEIGHTS)
        common += options(**CLASSIFIER_BUDGET)
        alone = ["train", *options(classifier=BACKBONE), *common]
        pair = options(method="hsakd", teacher=teacher, student=BACKBONE)
        for name, words in (("alone", alone), ("hsakd", ["distill", *pair, *common])):
            file = run(f"backbone_{name}_{seed}", words, crop_tests)
            weights = file.with_name("backbone.weights.h5")
            if file.exists() and not weights.exists():
                save_backbone(load_classifier(file), weights)
            run(f"detector_backbone_{name}_{seed}", train_detector(seed, weights), tests)


def write_results(run):
    """Gathers all runs: mean and standard deviation of each system, and what it gains.

    A gain is taken seed by seed against the student without the system, which sees the same images
    in the same order.
    """
    found = run.results()
    scores = {}
    for name, result in found.items():
        group = name.rpartition("_")[0] if name[-1].isdigit() else name
        scores.setdefault(group, []).extend(result["test"].values())
    gains = {
        group: summary(
            [difference(*pair) for pair in zip(scores[group], scores[alone], strict=True)]
        )
        for group, alone in COMPARED_WITH.items()
    }
    table = {group: summary(rows) for group, rows in scores.items()}
    record = {"command": "make systems", "summary": table, "gains": gains, "runs": found}
    write_json(RESULTS / "systems.json", record)
    for kind, columns in SHOWN.items():
        rows = {
            group: {key: [row[key] for row in rows] for key in columns}
            for group, rows in scores.items()
            if group.startswith("detector") == (kind == "detectors")
        }
        print(markdown_table(rows, columns))
        for group in rows:
            if group in gains:
                print(group, {key: gains[group][key] for key in columns})


def difference(scores, others):
    """What a run scores more than another."""
    keys = {key for columns in SHOWN.values() for key in columns} & scores.keys()
    return {key: scores[key] - others[key] for key in keys}


if __name__ == "__main__":
    given = arguments(__doc__)
    main(given.runs, given.only)
