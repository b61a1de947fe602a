"""All losses on one pair: `make losses`, about five hours on two cores, resumable at any moment.

Screening: one teacher (that of `real_hkd.py` which saw `coco_person` alone) over one student at 128
px, a short schedule, one seed, the teacher read from a cache of four views per image (for
`cross_head`, which needs its layers, it runs in the step). A term has its published weight; where
its share of the student's first gradient is below a tenth or above six tenths (published weights
were found at other sizes and widths), the weight is moved so that the share is three tenths. Both
are written down. Losses that refuse the pair or one class are left out, see docs/losses.md.

Then the three best by AP, three seeds each, under the teacher and with the full budget of
`real_hkd.py`, the teacher in the step as there; the student alone and HKD are those of
`real_hkd.py`. Figures: `results/losses.json`.
"""

import json
import pathlib
import subprocess
import sys

from proof_runs import SHARED, arguments, facts_of, summary
from real_hkd import (
    BUDGET,
    LIGHTER,
    RESULTS,
    SEEDS,
    STUDENT,
    STUDENT_EPOCHS,
    TESTS,
    weights_in,
    weights_of,
)

from keras_hkd.training.atomic_write import write_json

RECORDS = RESULTS / "losses"
SCREENING = {
    "data": ("coco_person",),
    "tests": ("coco_person",),
    "image_size": 128,
    "epochs": 8,
    "teacher": "teacher_open",
}
FULL = {
    "data": ("coco_person", "coco_person_nc"),
    "tests": TESTS,
    "image_size": BUDGET["image_size"],
    "epochs": STUDENT_EPOCHS,
    "teacher": "teacher",
}
# What `real_hkd.py` calls the runs that the best losses are compared with.
COMPARED_WITH = {"alone": "alone", "hkd": "lighter"}
VIEWS = 4
# What runs the teacher's own layers, so that no cache can stand in for it.
NEEDS_TEACHER = ("cross_head",)
NUM_BEST = 3
LEAST_SHARE, SHARE, MOST_SHARE = 0.1, 0.3, 0.6
SHOWN = ("AP", "AP50", "AP75", "MR2")


def terms():
    """Name -> `(hierarchies, published weights)`; a function, since hierarchies are used once."""
    from keras_hkd import hierarchies as h
    from keras_hkd import losses as L

    def pyramid(loss, weight):
        return [h.Pyramid(loss)], [weight]

    def logits(loss, weight=1.0):
        return [h.ClassLogits(loss)], [weight]

    return {
        "alone": ([], []),
        "feature_imitation": pyramid(L.FeatureImitation(), 0.5),
        "attention_transfer": pyramid(L.AttentionTransfer(), 1000.0),
        "pearson_correlation": pyramid(L.PearsonCorrelation(), 6.0),
        "channel_wise_divergence": pyramid(L.ChannelWiseDivergence(), 10.0),
        "focal_global": pyramid(L.FocalGlobal(), 1.0),
        "masked_generative": pyramid(L.MaskedGenerative(), 2e-5),
        "fine_grained_imitation": pyramid(L.FineGrainedImitation(), 0.01),
        "review": ([h.Review()], [1.0]),
        "cross_head": ([h.CrossHead()], [1.0]),
        "region_imitation": ([h.Region(L.FeatureImitation())], [30.0]),
        "region_relation": ([h.Region(L.RegionRelation())], [40.0]),
        "class_tower": ([h.ClassTower(L.FeatureImitation())], [30.0]),
        "logit_distillation": logits(L.LogitDistillation(activation="sigmoid")),
        "dist": logits(L.DIST(activation="sigmoid")),
        "adaptive_distillation": logits(L.AdaptiveDistillation()),
        "quality_focal": logits(L.QualityFocalDistillation()),
        "localization_distillation": ([h.Boxes(L.LocalizationDistillation())], [0.25]),
        "giou": ([h.Boxes(L.GIoU())], [1.0]),
        "bounded_regression": (
            [h.Boxes(L.TeacherBoundedRegression(), decoded=True)],
            [0.01],
        ),
        "hkd": _hkd(h, L),
    }


def _hkd(h, L):
    """HKD with boxes, at the weights that `real_hkd.py` found the better ones."""
    given = weights_in(LIGHTER)
    hierarchies = [
        h.Pyramid(L.FeatureImitation()),
        h.Region(L.FeatureImitation()),
        h.ClassTower(L.FeatureImitation()),
        h.Boxes(L.GIoU()),
    ]
    return hierarchies, [given[f"{name}_weight"] for name in ("pyramid", "region", "logit", "box")]


def main(runs, only=None):
    """Runs what is not finished yet and writes the table; with `only`, those runs and no table."""
    names = list(terms())
    for name in only or [f"screening_{name}" for name in names]:
        run_apart(runs, name)
    if only:
        return
    screened = {name: record(f"screening_{name}") for name in names}
    losses = [name for name in names if name not in COMPARED_WITH]
    best = sorted(losses, key=lambda name: -screened[name]["test"]["coco_person"]["AP"])[:NUM_BEST]
    for name in best:
        for seed in SEEDS:
            run_apart(runs, f"full_{name}_{seed}")
    write_results(screened, best)


def run_apart(runs, name):
    """One run in a process of its own, unless it is finished."""
    if record(name) is None:
        program = [sys.executable, str(pathlib.Path(__file__).resolve())]
        subprocess.run([*program, "--runs", str(runs), "--run", name], check=True)


def record(name, folder=RECORDS):
    """What a finished run left, or None."""
    file = folder / f"{name}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


def one_run(runs, name):
    """Trains one student, measures it and leaves its figures."""
    stage, _, rest = name.partition("_")
    loss, seed = (rest, 0) if stage == "screening" else (rest[:-2], int(rest[-1]))
    plan = SCREENING if stage == "screening" else FULL
    from keras_hkd.data import load_dataset
    from keras_hkd.evaluation import evaluate_detector
    from keras_hkd.training import TrainingSettings, train_model, training_scope

    size = (plan["image_size"], plan["image_size"])
    settings = TrainingSettings(
        epochs=plan["epochs"], image_size=size, batch_size=BUDGET["batch_size"], seed=seed
    )
    images = load_dataset([f"{SHARED / 'data' / data}:train" for data in plan["data"]])
    with training_scope(settings):
        distiller, weights = make_distiller(runs, plan, loss, images, settings)
    out = runs / "losses" / name
    history = train_model(distiller, images, settings, out, resume=True)
    scores = {}
    for test in plan["tests"]:
        found = evaluate_detector(distiller.student, load_dataset(f"{SHARED / 'data' / test}:test"))
        scores[test] = {key: found[key] for key in SHOWN}
    facts = {**facts_of(out), "training_seconds": sum(history["seconds"])}
    result = {"command": "make losses", **facts, "weights": weights, "test": scores}
    write_json(RECORDS / f"{name}.json", result)


def make_distiller(runs, plan, loss, images, settings):
    """The Distiller of one run, its weights set, and what is to be known of these."""
    import keras_hkd

    live = plan is FULL or loss in NEEDS_TEACHER
    teacher, batch = teacher_and_batch(runs, plan, images, settings, live)
    hierarchies, weights = terms()[loss]
    facts = {"published": weights, "used": weights}
    if loss not in COMPARED_WITH:
        # Of the first seed's student, so that all seeds train with one weight.
        student = make_student(images, settings.image_size, seed=0)
        weights, share = balanced(teacher, student, loss, batch)
        facts = {**facts, "used": weights, "share_of_first_gradient": share}
    student = make_student(images, settings.image_size, settings.seed)
    return keras_hkd.Distiller(teacher, student, hierarchies, weights), facts


def teacher_and_batch(runs, plan, images, settings, live):
    """The teacher, itself or as a cache of it, and one training batch for it."""
    import keras_hkd
    from keras_hkd.data import training_batches
    from keras_hkd.detectors import load_detector

    teacher = load_detector(runs / "real" / plan["teacher"] / "detector.keras")
    how = {"batch_size": settings.batch_size, "seed": 0}
    if live:
        return teacher, next(iter(training_batches(images, image_size=settings.image_size, **how)))
    # One cache serves all losses: it holds whatever any of them reads.
    cache = keras_hkd.TeacherCache.build(
        teacher,
        images,
        runs / "losses" / "cache",
        image_size=settings.image_size,
        outputs=("class_logits", "box_outputs", "pyramid", "class_tower"),
        views=VIEWS,
    )
    return cache, next(iter(cache.training_batches(images, **how)))


def make_student(images, image_size, seed):
    """The student of `real_hkd.py`."""
    from keras_hkd.detectors import build

    return build(
        STUDENT,
        image_size=image_size,
        class_names=images.class_names,
        backbone_weights=weights_of(STUDENT),
        seed=seed,
    )


def balanced(teacher, student, loss, batch):
    """The published weight, moved where its share of the gradient is far off, and that share."""
    import keras_hkd
    from keras_hkd.distillation import gradient_shares

    hierarchies, weights = terms()[loss]
    trial = keras_hkd.Distiller(teacher, student, hierarchies, weights)
    found = gradient_shares(trial, *batch)
    share = sum(value for name, value in found.items() if name not in student.loss_names)
    if LEAST_SHARE <= share <= MOST_SHARE or not 0 < share < 1:
        return weights, share
    factor = SHARE / (1 - SHARE) * (1 - share) / share
    # Rounded, since a run that resumes must find the same weights whatever rounds how.
    return [float(f"{weight * factor:.2g}") for weight in weights], share


def write_results(screened, best):
    """Gathers the figures of all runs into one file."""
    runs = {name: [f"full_{name}_{seed}" for seed in SEEDS] for name in best}
    full = {name: [record(one) for one in names] for name, names in runs.items()}
    for name, real in COMPARED_WITH.items():
        full[name] = [record(f"{real}_{seed}", RESULTS / "real_hkd") for seed in SEEDS]
    table = {
        name: {test: summary([found["test"][test] for found in results]) for test in TESTS}
        for name, results in full.items()
    }
    first = {
        name: {**found["test"]["coco_person"], **found["weights"]}
        for name, found in screened.items()
    }
    facts = {"command": "make losses", "screening": first, "full": table}
    write_json(RESULTS / "losses.json", facts)
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    given = arguments(__doc__, run="one run, as the proof starts it")
    if given.run:
        one_run(given.runs, given.run)
    else:
        main(given.runs, given.only)
