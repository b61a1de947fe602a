"""All losses on one pair: `make losses`, about nine hours of one core, resumable at any moment.

The teacher is `benchmarks/weights/teacher_coco_person.keras`, which saw the openly licensed
photographs alone, and the student that of `real_hkd.py`. Training reads the teacher from a cache
(for `cross_head`, which needs its layers, it runs in the step).

Screening: 128 px, a short schedule, four views of each image, one seed, scored on photographs that
no table of tests has: the validation list of `coco_person` and the training list of `pennfudan`,
which nobody trains on. A term has its published weight; where its share of the student's first
gradient is below a tenth or above six tenths (published weights were found at other sizes and
widths), the weight is moved so that the share is three tenths. Both are written down. Losses that
refuse the pair or one class are left out, see docs/concepts/losses.md.

Then the three best by mean AP, HKD, and features joined with localization distillation in two ways,
three seeds each, with the full budget of `real_hkd.py`: the cache holds as many views as there are
epochs, so that no view is shown twice, as with a live teacher. The student alone is that of
`real_hkd.py`. Figures: `results/losses.json`.
"""

import json
import pathlib
import statistics
import subprocess
import sys

from proof_runs import SHARED, arguments, facts_of, summary
from real_hkd import (
    BUDGET,
    LIGHTER,
    OPEN_TEACHER,
    RESULTS,
    SEEDS,
    STUDENT,
    STUDENT_EPOCHS,
    TESTS,
    weights_in,
    weights_of,
)

from keras_hkd.json_files import write_json
from keras_hkd.report import markdown_table

RECORDS = RESULTS / "losses"
SCREENING = {
    "data": ("coco_person",),
    "scored_on": {name: name for name in ("coco_person:val", "pennfudan:train")},
    "image_size": 128,
    "epochs": 8,
    "views": 4,
}
FULL = {
    "data": ("coco_person", "coco_person_nc"),
    "scored_on": {name: f"{name}:test" for name in TESTS},
    "image_size": BUDGET["image_size"],
    "epochs": STUDENT_EPOCHS,
    "views": STUDENT_EPOCHS,
}
# What the losses are compared with; neither has a weight to find.
COMPARED_WITH = ("alone", "hkd")
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
        "attention_non_local": pyramid(L.AttentionNonLocal(), 1.0),
        # Of RetinaNet 0.005 for sums over 256 channels and over levels, here means.
        "feature_richness": (
            [h.Pyramid(L.FeatureImitation(), at="teacher_scores")],
            [0.005 * 256 * 3],
        ),
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
    hierarchies, weights = _features_of_hkd(h, L)
    return [*hierarchies, h.Boxes(L.GIoU())], [*weights, weights_in(LIGHTER)["box_weight"]]


def _features_of_hkd(h, L):
    """The three terms of the paper."""
    given = weights_in(LIGHTER)
    hierarchies = [
        h.Pyramid(L.FeatureImitation()),
        h.Region(L.FeatureImitation()),
        h.ClassTower(L.FeatureImitation()),
    ]
    return hierarchies, [given[f"{name}_weight"] for name in ("pyramid", "region", "logit")]


def joined():
    """Name -> `(hierarchies, weights)` that stay as they are, and losses that join them.

    The weight of those that join is that of the loss on its own.
    """
    from keras_hkd import hierarchies as h
    from keras_hkd import losses as L

    return {
        "hkd_features_and_ld": (_features_of_hkd(h, L), ["localization_distillation"]),
        "pearson_and_ld": (([], []), ["pearson_correlation", "localization_distillation"]),
    }


def main(runs, only=None):
    """Runs what is not finished yet and writes the table; with `only`, those runs and no table."""
    names = list(terms())
    for name in only or [f"screening_{name}" for name in names]:
        run_apart(runs, name)
    if only:
        return
    screened = {name: record(f"screening_{name}") for name in names}
    losses = [name for name in names if name not in COMPARED_WITH]
    best = sorted(losses, key=lambda name: -mean_ap(screened[name]))[:NUM_BEST]
    for name in [*best, "hkd", *joined()]:
        for seed in SEEDS:
            run_apart(runs, f"full_{name}_{seed}")
    write_results(screened, best)


def mean_ap(found):
    """What the losses are ranked by: the mean over the sets that a run was scored on."""
    return statistics.fmean(scores["AP"] for scores in found["scores"].values())


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
    scores = scores_of(distiller.student, plan["scored_on"])
    facts = {**facts_of(out), "training_seconds": sum(history["seconds"])}
    result = {"command": "make losses", **facts, "weights": weights, "scores": scores}
    write_json(RECORDS / f"{name}.json", result)


def make_distiller(runs, plan, loss, images, settings):
    """The Distiller of one run, its weights set, and what is to be known of these."""
    import keras_hkd

    teacher, batch = teacher_and_batch(runs, plan, images, settings, loss in NEEDS_TEACHER)
    if loss in COMPARED_WITH:
        (hierarchies, weights), found = terms()[loss], []
    else:
        (hierarchies, weights), found = joined().get(loss, (([], []), [loss]))
    hierarchies, published, used, shares = [*hierarchies], [*weights], [*weights], []
    for name in found:
        more, as_published = terms()[name]
        # Of the first seed's student, so that all seeds train with one weight.
        student = make_student(images, settings.image_size, seed=0)
        weights, share = balanced(teacher, student, name, batch)
        hierarchies += more
        published += as_published
        used += weights
        shares.append(share)
    facts = {"published": published, "used": used}
    if shares:
        facts["share_of_first_gradient"] = shares[0] if len(shares) == 1 else shares
    student = make_student(images, settings.image_size, settings.seed)
    return keras_hkd.Distiller(teacher, student, hierarchies, used), facts


def teacher_and_batch(runs, plan, images, settings, live):
    """The teacher, itself or as a cache of it, and one training batch for it."""
    import keras_hkd
    from keras_hkd.data import training_batches
    from keras_hkd.detectors import load_detector

    teacher = load_detector(OPEN_TEACHER)
    how = {"batch_size": settings.batch_size, "seed": 0}
    if live:
        return teacher, next(iter(training_batches(images, image_size=settings.image_size, **how)))
    # One cache serves all losses: it holds whatever any of them reads.
    cache = keras_hkd.TeacherCache.build(
        teacher,
        images,
        runs / "losses" / f"cache_{settings.image_size[0]}",
        image_size=settings.image_size,
        outputs=("class_logits", "box_outputs", "pyramid", "class_tower"),
        views=plan["views"],
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


def scores_of(detector, sources):
    """What a detector scores on photographs: name of a set -> scores."""
    from keras_hkd.data import load_dataset
    from keras_hkd.evaluation import evaluate_detector

    found = {
        name: evaluate_detector(detector, load_dataset(f"{SHARED / 'data' / source}"))
        for name, source in sources.items()
    }
    return {name: pick(scores) for name, scores in found.items()}


def pick(scores):
    """The scores that are kept."""
    return {key: scores[key] for key in SHOWN}


def write_results(screened, best):
    """Gathers the figures of all runs into one file."""
    from keras_hkd.detectors import load_detector

    full = {"teacher": [scores_of(load_detector(OPEN_TEACHER), FULL["scored_on"])]}
    alone = [record(f"alone_{seed}", RESULTS / "real_hkd")["test"] for seed in SEEDS]
    full["alone"] = [{test: pick(one[test]) for test in TESTS} for one in alone]
    compared = ["hkd", *best, *joined()]
    for name in compared:
        full[name] = [record(f"full_{name}_{seed}")["scores"] for seed in SEEDS]
    table = {
        name: {test: summary([found[test] for found in results]) for test in TESTS}
        for name, results in full.items()
    }
    first = {
        name: {**found["weights"], "mean_AP": mean_ap(found), "scores": found["scores"]}
        for name, found in screened.items()
    }
    gains = {
        name: {
            test: [
                one[test]["AP"] - without[test]["AP"]
                for one, without in zip(full[name], full["alone"], strict=True)
            ]
            for test in TESTS
        }
        for name in compared
    }
    facts = {"command": "make losses", "screening": first, "best": best}
    facts |= {"full": table, "AP_over_alone_seed_by_seed": gains}
    write_json(RESULTS / "losses.json", facts)
    screening = {name: [found["scores"]] for name, found in first.items()}
    for plan, results in ((SCREENING, screening), (FULL, full)):
        rows = {
            f"{test}: {name}": {key: [one[test][key] for one in found] for key in SHOWN}
            for test in plan["scored_on"]
            for name, found in results.items()
        }
        print(markdown_table(rows))
    for name, of_tests in gains.items():
        for test, values in of_tests.items():
            print(f"{name}, {test}: AP over alone " + ", ".join(f"{v:+.3f}" for v in values))


if __name__ == "__main__":
    given = arguments(__doc__, run="one run, as the proof starts it")
    if given.run:
        one_run(given.runs, given.run)
    else:
        main(given.runs, given.only)
