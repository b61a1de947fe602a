"""All losses on one pair: `make losses`, about five hours on two cores, resumable at any moment.

Screening: one teacher (that of `real_hkd.py` which saw `coco_person` alone) over one student at 128
px, a short schedule, one seed, the teacher read from a cache of four views per image. A term has
its published weight; where its share of the student's first gradient is below a tenth or above six
tenths (published weights were found at other sizes and widths), the weight is moved so that the
share is three tenths. Both are written down. Losses that refuse the pair or one class are left out,
see docs/losses.md.

Then the three best by AP and HKD, three seeds each, at the full budget of `real_hkd.py`, from a
cache as well. Figures: `results/losses.json`.
"""

import json
import pathlib
import subprocess
import sys

from proof_runs import ROOT, SHARED, arguments, summary
from real_hkd import BUDGET, LIGHTER, STUDENT_EPOCHS

from keras_hkd.training.atomic_write import write_json

RESULTS = ROOT / "benchmarks" / "results"
RECORDS = RESULTS / "losses"
STUDENT = "yolo_v8_mobilenet_v2_0.35"
STUDENT_WEIGHTS = SHARED / "weights" / "mobilenet_v2_0.35_96_notop.weights.h5"
SCREENING = {"data": ("coco_person",), "image_size": 128, "epochs": 8, "teacher": "teacher_open"}
FULL = {
    "data": ("coco_person", "coco_person_nc"),
    "image_size": BUDGET["image_size"],
    "epochs": STUDENT_EPOCHS,
    "teacher": "teacher",
}
VIEWS = 4
SEEDS = (0, 1, 2)
NUM_BEST = 3
LEAST_SHARE, SHARE, MOST_SHARE = 0.1, 0.3, 0.6
SHOWN = ("AP", "AP50", "MR2")


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
    given = {name: float(value) for name, value in (option.split("=") for option in LIGHTER)}
    hierarchies = [
        h.Pyramid(L.FeatureImitation()),
        h.Region(L.FeatureImitation()),
        h.ClassTower(L.FeatureImitation()),
        h.Boxes(L.GIoU()),
    ]
    return hierarchies, [given[f"{name}_weight"] for name in ("pyramid", "region", "logit", "box")]


def main(runs, only=None):
    """Runs what is not finished yet and writes the table."""
    names = list(terms())
    for name in only or names:
        run_apart(runs, f"screening_{name}")
    screened = {name: record(f"screening_{name}") for name in names}
    if only or not all(screened.values()):
        return
    distilled = [name for name in names if name not in ("alone", "hkd")]
    best = sorted(distilled, key=lambda name: -screened[name]["test"]["AP"])[:NUM_BEST]
    finals = ["alone", *best, "hkd"]
    for name in finals:
        for seed in SEEDS:
            run_apart(runs, f"full_{name}_{seed}")
    write_results(screened, finals)


def run_apart(runs, name):
    """One run in a process of its own, unless it is finished."""
    if record(name) is None:
        program = [sys.executable, str(pathlib.Path(__file__).resolve())]
        subprocess.run([*program, "--runs", str(runs), "--run", name], check=True)


def record(name):
    """What a finished run left, or None."""
    file = RECORDS / f"{name}.json"
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
    settings = TrainingSettings(epochs=plan["epochs"], image_size=size, seed=seed)
    images = load_dataset([f"{SHARED / 'data' / data}:train" for data in plan["data"]])
    with training_scope(settings):
        distiller, weights = make_distiller(runs, stage, plan, loss, images, settings)
    history = train_model(distiller, images, settings, runs / "losses" / name, resume=True)
    test = load_dataset(f"{SHARED / 'data' / 'coco_person'}:test")
    scores = evaluate_detector(distiller.student, test, size)
    found = {
        "command": "make losses",
        "settings": settings.to_dict(),
        "teacher_hash": distiller.teacher_hash,
        "views": VIEWS,
        "weights": weights,
        "training_seconds": sum(history["seconds"]),
        "test": {key: scores[key] for key in SHOWN},
    }
    write_json(RECORDS / f"{name}.json", found)


def make_distiller(runs, stage, plan, loss, images, settings):
    """The Distiller of one run, its weights set, and what is to be known of these."""
    import keras_hkd
    from keras_hkd.detectors import build, load_detector

    size = settings.image_size
    # One cache serves all losses: it holds whatever any of them reads.
    teacher = load_detector(runs / "real" / plan["teacher"] / "detector.keras")
    everything = ("class_logits", "box_outputs", "pyramid", "class_tower")
    cache = keras_hkd.TeacherCache.build(
        teacher,
        images,
        runs / "losses" / f"cache_{stage}",
        image_size=size,
        outputs=everything,
        views=VIEWS,
    )
    student = build(
        STUDENT,
        image_size=size,
        class_names=images.class_names,
        backbone_weights=STUDENT_WEIGHTS,
        seed=settings.seed,
    )
    hierarchies, weights = terms()[loss]
    facts = {"published": weights, "used": weights}
    if loss not in ("alone", "hkd"):
        batch = next(iter(cache.training_batches(images, batch_size=16, seed=0)))
        weights, share = balanced(cache, student, loss, batch)
        facts = {**facts, "used": weights, "share_of_first_gradient": share}
    return keras_hkd.Distiller(cache, student, hierarchies, weights), facts


def balanced(cache, student, loss, batch):
    """The published weight, moved where its share of the gradient is far off, and that share."""
    import keras_hkd
    from keras_hkd.distillation import gradient_shares

    hierarchies, weights = terms()[loss]
    trial = keras_hkd.Distiller(cache, student, hierarchies, weights)
    found = gradient_shares(trial, *batch)
    share = sum(value for name, value in found.items() if name not in student.loss_names)
    if LEAST_SHARE <= share <= MOST_SHARE or not 0 < share < 1:
        return weights, share
    factor = SHARE / (1 - SHARE) * (1 - share) / share
    # Rounded, since a run that resumes must find the same weights whatever rounds how.
    return [float(f"{weight * factor:.2g}") for weight in weights], share


def write_results(screened, finals):
    """Gathers the figures of all runs into one file."""
    full = {
        name: summary([record(f"full_{name}_{seed}")["test"] for seed in SEEDS]) for name in finals
    }
    table = {name: {**found["test"], **found["weights"]} for name, found in screened.items()}
    facts = {"command": "make losses", "screening": table, "full": full}
    write_json(RESULTS / "losses.json", facts)
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    given = arguments(__doc__, run="one run, as the proof starts it")
    if given.run:
        one_run(given.runs, given.run)
    else:
        main(given.runs, given.only)
