"""The seed paper's headline with a teacher that is worth it: `make proof`, hours, resumable.

RTMDet-nano teaches students with 2, 4, 6 and 8 times fewer parameters. A student is RTMDet-nano
with channels removed in rounds, each followed by a short training on its own loss alone, so that
none has had a teacher before the comparison begins. Each is then trained in the same budget on
`coco_person` and `coco_person_nc` (train): alone, by HKD, by the default (`auto`), by adaptive
distillation (`adl`) and by pseudo-labels of photographs without labels (`sad`); three seeds.
Measured on the test lists, at the size of the training. Every run is one `keras-hkd` command; see
`proof_runs.py`. Figures: `results/proof.json`, one file a run in `results/proof/`.
"""

import keras
from figures import made_with
from proof_runs import ROOT, SHARED, Runner, arguments, evaluate, options
from tables import compare, figure, table, write_table

from keras_hkd.json_files import write_json

DATA = SHARED / "data"
RESULTS = ROOT / "benchmarks" / "results"
CUT = ROOT / "benchmarks" / "weights" / "proof"
TIMES = (6, 2, 4, 8)  # the headline first
SEEDS = (0, 1, 2)
TESTS = {name: f"{DATA / name}:test" for name in ("coco_person", "pennfudan", "pets_s3mf1")}
HEADLINE = "coco_person"
SIDE, BATCH_SIZE, EPOCHS = 192, 16, 8
METHODS = {
    "alone": None,
    "auto": {"method": "auto"},
    "hkd": {"method": "hkd"},
    "adl": {"method": "adl"},
    "sad": {"method": "sad", "unlabelled": [DATA / "street_unlabelled"]},
}
LABELS = {
    "alone": "student alone",
    "auto": "student, by the default",
    "hkd": "student, by HKD",
    "adl": "student, by adaptive distillation (`adl`)",
    "sad": "student, with pseudo-labels of 112 photographs (`sad`)",
}
CUTTING = {"amount": 0.1, "epochs_per_round": 0.5, "learning_rate": 8e-4}
SHOWN = ("AP", "AP50", "MR2")


def main(runs, only=None):
    """Runs what is not finished yet and writes the table; with `only`, those runs and no table."""
    run = Runner(runs / "proof", RESULTS / "proof", only)
    teacher = imported(runs / "proof")
    measure_teacher(teacher)
    for times in TIMES:
        wanted = {
            f"{name}_{times}x_{seed}": (how, seed)
            for name, how in METHODS.items()
            for seed in SEEDS
            if run.wants(f"{name}_{times}x_{seed}")
        }
        for name, (how, seed) in wanted.items():
            run(name, words(teacher, cut(teacher, times), how, seed), TESTS)
            write_results(run)


def imported(folder):
    """The teacher: RTMDet-nano for people, as `make zoo` imports it."""
    from zoo_train import start_of, training_images

    folder.mkdir(parents=True, exist_ok=True)
    start_of("rtmdet_nano", folder, training_images({"data": ["coco_person"]}))
    return folder / "rtmdet_nano.keras"


def measure_teacher(teacher):
    """Scores of the teacher at the students' size, in a result file of its own."""
    record = RESULTS / "proof" / "teacher.json"
    if not record.exists():
        scores = {test: evaluate(teacher, source, SIDE) for test, source in TESTS.items()}
        write_json(record, {"made_with": made_with(), "image_size": SIDE, "test": scores})


def cut(teacher, times):
    """A student of `times` fewer parameters, which no teacher has taught; kept in `weights/`."""
    from zoo_train import endless, save, training_images

    from keras_hkd.compression import prune_gradually
    from keras_hkd.data import steps_per_epoch, training_batches
    from keras_hkd.detectors import load_detector
    from keras_hkd.training import TrainingSettings
    from keras_hkd.training.optimizer import build_optimizer

    file = CUT / f"cut_{times}x.keras"
    if file.exists():
        return file
    keras.utils.set_random_seed(0)
    detector = load_detector(teacher)
    detector.image_size = (SIDE, SIDE)
    target = detector.count_params() // times
    smaller = [CUT / f"cut_{one}x.keras" for one in sorted(TIMES) if one < times]
    done = [one for one in smaller if one.exists()]
    student = load_detector(done[-1]) if done else detector
    images = training_images({"data": ["coco_person", "coco_person_nc"]})
    stream = endless(
        iter(training_batches(images, image_size=(SIDE, SIDE), batch_size=BATCH_SIZE, seed=0))
    )
    num_steps = round(CUTTING["epochs_per_round"] * steps_per_epoch(images, BATCH_SIZE))
    settings = TrainingSettings(
        epochs=1,
        batch_size=BATCH_SIZE,
        learning_rate=CUTTING["learning_rate"],
        warmup_epochs=0.1,
        image_size=(SIDE, SIDE),
    )

    def recover(smaller, number):
        smaller.compile(optimizer=build_optimizer(settings, num_steps))
        smaller.fit(stream, steps_per_epoch=num_steps, verbose=0)
        print(f"{times}x: round {number}, {smaller.count_params()} parameters", flush=True)

    student = prune_gradually(
        student, target, batches=stream, recover=recover, amount=CUTTING["amount"]
    )
    CUT.mkdir(exist_ok=True)
    save(student, file)
    save(keras.models.load_model(file, compile=False), file)  # without the optimizer
    return file


def words(teacher, student, how, seed):
    """Words of the command of one run."""
    common = options(
        data=[f"{DATA / name}:train" for name in ("coco_person", "coco_person_nc")],
        val=f"{DATA / 'coco_person'}:val",
        seed=seed,
        epochs=EPOCHS,
        image_size=SIDE,
        batch_size=BATCH_SIZE,
        validate_every=0,
    )
    if how is None:
        return ["train", *options(detector=student), *common]
    return ["distill", *options(teacher=teacher, student=student, **how), *common]


def write_results(run):
    """Means, deviations and gains of every method and size that has all seeds; the page's table."""
    results = run.results()
    students = {}
    for times in sorted(TIMES):
        groups = {name: [f"{name}_{times}x_{seed}" for seed in SEEDS] for name in METHODS}
        if found := compare(results, groups, TESTS, SHOWN):
            students[f"{times}x"] = found
    teacher = {
        test: {key: scores[key] for key in SHOWN}
        for test, scores in results["teacher"]["test"].items()
    }
    write_json(
        RESULTS / "proof.json",
        {
            "command": "make proof",
            "made_with": made_with(),
            "image_size": SIDE,
            "epochs": EPOCHS,
            "teacher": teacher,
            "students": students,
        },
    )
    for size, found in students.items():
        write_table("results/proof.md", size, table(found, LABELS, teacher))
    write_table("results/proof.md", "sizes", sizes_table(students, teacher, LABELS))
    write_table("../README.md", "sizes", sizes_table(students, teacher, ("alone", "auto", "hkd")))


def sizes_table(students, teacher, methods):
    """Lines of a Markdown table: AP of methods at every size, and the span of its gains."""
    columns = [f"{size[:-1]} times smaller" for size in students]
    of_teacher = [figure(teacher[HEADLINE]["AP"])] * len(students)
    rows = [["teacher, RTMDet-nano", *of_teacher]]
    for name in methods:
        rows.append([LABELS[name], *(ap_and_gains(found, name) for found in students.values())])
    return [
        f"| AP on `{HEADLINE}` | " + " | ".join(columns) + " |",
        "|:--|" + ":--|" * len(columns),
        *("| " + " | ".join(cells) + " |" for cells in rows),
    ]


def ap_and_gains(methods, name):
    """AP of one method at one size, and its smallest and largest gain of all seeds."""
    if name not in methods:
        return ""
    found = methods[name][HEADLINE]
    shown = figure(found["scores"]["AP"])
    gains = found["gains"]["AP"]
    return shown if name == "alone" else f"{shown} ({min(gains):+.3f} to {max(gains):+.3f})"


if __name__ == "__main__":
    given = arguments(__doc__)
    main(given.runs, given.only)
