"""Makes the detectors of the zoo: `make zoo`, hours on two cores, resumable at any moment.

A recipe (`benchmarks/recipes/NAME.json`) says from which detector a preset starts, how many weights
it may keep, and how it is trained. Channels are removed in rounds, each followed by a short
training under the whole RTMDet-nano as teacher; a long training under the same teacher ends it
(`final.keras`). Its int8 twin (`int8.keras`) is then trained with rounding under the float preset.
Training reads the training lists of the data folder alone; the validation list of `coco_person` is
shown while it runs, and no test list is read. In a recipe's `finishing` class scores and boxes are
taught by the fused detections of several detectors (`fuse_detections.py`), maps by RTMDet-nano.

    python benchmarks/zoo_train.py person_femto --runs runs/zoo
"""

from __future__ import annotations

import argparse
import functools
import json
import pathlib
import time

import keras
from fuse_detections import fused_detections

from keras_hkd import Distiller
from keras_hkd.compression import prune_gradually, quantize, replace_activations
from keras_hkd.data import load_dataset, prediction_batches, steps_per_epoch, training_batches
from keras_hkd.data.dataset import Dataset
from keras_hkd.detectors import load_detector
from keras_hkd.detectors.rtmdet import import_rtmdet
from keras_hkd.evaluation import evaluate_detector
from keras_hkd.hierarchies import Boxes, ClassLogits, Pyramid
from keras_hkd.losses import GIoU, PearsonCorrelation, QualityFocalDistillation
from keras_hkd.teacher_cache import TeacherCache
from keras_hkd.training import TrainingSettings, train_model
from keras_hkd.training.optimizer import build_optimizer

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
RECIPES = ROOT / "benchmarks" / "recipes"
MAX_BOXES = 40
NUM_STATISTICS_IMAGES = 256


def main(name: str, runs: pathlib.Path, int8: bool = True) -> pathlib.Path:
    """Makes one preset's detector, or goes on where a run was killed.

    Args:
        name: of the recipe.
        runs: folder for what is made on the way, outside version control.
        int8: whether its int8 twin is made too.

    Returns:
        Path of the finished `.keras` file.
    """
    recipe = json.loads((RECIPES / f"{name}.json").read_text())
    folder = runs / name
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / "final.keras"
    images = training_images(recipe)
    keras.utils.set_random_seed(recipe["seed"])
    if final.exists():
        print(f"{name}: finished, {final}")
        student = load_detector(final)
    else:
        teacher = start_of("rtmdet_nano", runs, images)
        student = trained(recipe, teacher, images, folder, runs)
        if "finishing" in recipe:
            finish(student, teacher, images, recipe, folder)
        save(student, final)
        report(student, recipe, "final")
    if int8 and not (folder / "int8.keras").exists():
        twin = int8_twin(student, images, recipe, folder)
        save(twin, folder / "int8.keras")
        report(twin, recipe, "int8")
    return final


def training_images(recipe) -> Dataset:
    """The photographs of a recipe."""
    lists = [f"{SHARED / 'data' / name}:train" for name in recipe["data"]]
    return Dataset.merge([load_dataset(one) for one in lists])


def start_of(start, runs, images):
    """The imported RTMDet-nano, or what another recipe has made."""
    if start != "rtmdet_nano":
        return load_detector(main(start, runs, int8=False))
    file = runs / "rtmdet_nano.keras"
    if not file.exists():
        batches = prediction_batches(images, image_size=(320, 320), batch_size=1, antialias=False)
        photos = [batch[0] for batch in batches.take(NUM_STATISTICS_IMAGES).as_numpy_iterator()]
        onnx = SHARED / "weights" / "rtmdet_nano_person_raw_320.onnx"
        save(import_rtmdet(onnx, images=keras.ops.stack(photos)), file)
    return load_detector(file)


def distiller(teacher, student, recipe, fused=None):
    """The student under the teacher: class scores, boxes and correlated maps.

    With fused detections their class scores and boxes beside these.
    """
    weights = recipe["weights"]
    live = 0 if fused is None else 1
    terms = {
        "class_logits": ClassLogits(QualityFocalDistillation(), teacher=live),
        "boxes": Boxes(GIoU(), at="all", teacher=live),
        "pyramid": Pyramid(PearsonCorrelation(), teacher=live),
    }
    if fused is not None:
        terms["fused_class_logits"] = ClassLogits(
            QualityFocalDistillation(), teacher=0, name="fused_class_logits"
        )
        terms["fused_boxes"] = Boxes(GIoU(), teacher=0, name="fused_boxes")
    return Distiller(
        teacher if fused is None else [fused, teacher],
        student,
        list(terms.values()),
        [weights[name] for name in terms],
        student_loss_weight=weights["student"],
    )


def pruned(student, teacher, images, recipe, folder):
    """The student with as few weights as the recipe wants; each round is kept."""
    rounds, size = dict(recipe["pruning"]), (recipe["image_size"],) * 2
    kept = sorted(folder.glob("round_*.keras"))
    if kept:
        student = load_detector(kept[-1])
    batch_size = recipe["training"]["batch_size"]
    stream = training_batches(
        images,
        image_size=size,
        batch_size=batch_size,
        seed=recipe["seed"],
        first_epoch=len(kept),
        max_boxes=MAX_BOXES,
    )
    stream = iter(stream)  # decoded once for all rounds
    epochs = rounds.pop("epochs_per_round")
    num_steps = round(epochs * steps_per_epoch(images, batch_size))
    settings = TrainingSettings(
        **{**recipe["training"], "epochs": 1, "warmup_epochs": 0.1, "ema_momentum": 0.98},
        seed=recipe["seed"],
        image_size=size,
    )

    def recover(smaller, number):
        model = distiller(teacher, smaller, recipe)
        model.compile(optimizer=build_optimizer(settings, num_steps))
        model.fit(endless(stream), steps_per_epoch=num_steps, verbose=0)
        save(smaller, folder / f"round_{number:02d}.keras")
        report(smaller, recipe, f"round {number}")

    return prune_gradually(
        student,
        rounds.pop("target_parameters"),
        batches=endless(stream),
        recover=recover,
        first_round=len(kept) + 1,
        **rounds,
    )


def trained(recipe, teacher, images, folder, runs):
    """The student, pruned if need be and trained under RTMDet-nano."""
    kept = folder / "trained.keras"
    if kept.exists():
        return load_detector(kept)
    student = start_of(recipe["start"], runs, images)
    if "pruning" in recipe:
        student = pruned(student, teacher, images, recipe, folder)
    model = distiller(teacher, student, recipe)
    settings = settings_of(recipe)
    train_model(model, images, settings, folder / "training", resume=True, title=recipe["preset"])
    save(student, kept)
    return student


def finish(student, teacher, images, recipe, folder):
    """Trains the student on under the fused detections."""
    file = fused_detections(images, folder.parent / "fused_detections.json")
    size = (recipe["image_size"],) * 2
    fused = TeacherCache.from_detections(file, images, folder / "fused", image_size=size)
    model = distiller(teacher, student, recipe, fused)
    settings = settings_of(recipe, recipe["finishing"], seed=2)
    train_model(model, images, settings, folder / "finishing", resume=True, title="finishing")


def settings_of(recipe, stage=None, seed=0):
    """Settings of a training, with what a stage has of its own."""
    return TrainingSettings(
        **{**recipe["training"], **(stage or {})},
        seed=recipe["seed"] + seed,
        image_size=(recipe["image_size"],) * 2,
    )


def int8_twin(student, images, recipe, folder):
    """A clone that rounds as the int8 file does, trained under the float student.

    First ReLU takes the place of SiLU in the layers that the recipe names, with a training in
    float to get used to it; then it is trained with rounding, in one stage after the other.
    """
    recipe_of = recipe["int8"]
    relu = tuple(recipe_of["relu"])
    student.image_size = (recipe["image_size"],) * 2
    twin = replace_activations(student, "relu", where=lambda name: name.startswith(relu))
    under(student, twin, images, recipe, recipe_of["float"], folder / "relu")
    calibration = images.subset(recipe_of["calibration_images"])
    twin = quantize(twin, calibration, coverage=recipe_of["coverage"], range_decay=None)
    for number, stage in enumerate(recipe_of["stages"], start=1):
        place = folder / f"int8_{number}"
        kept = place.with_suffix(".keras")
        if kept.exists():
            twin = load_detector(kept)
            continue
        under(student, twin, images, recipe, stage, place)
        save(twin, kept)
    return twin


def under(teacher, student, images, recipe, stage, folder):
    """Trains a student under a teacher for one stage of a recipe."""
    model = distiller(teacher, student, recipe)
    settings = settings_of(recipe, stage, seed=1)
    train_model(model, images, settings, folder, resume=True, title=folder.name)
    report(student, recipe, folder.name)


def report(student, recipe, place):
    """Shows what the validation list says so far; it decides nothing."""
    scores = evaluate_detector(
        student,
        validation(),
        image_size=(recipe["image_size"],) * 2,
        progress=False,
    )
    figures = ", ".join(f"{key} {scores[key]:.3f}" for key in ("AP", "AP50", "MR2"))
    print(
        f"{time.strftime('%H:%M:%S')} {recipe['preset']} {place}: {student.count_params()} "
        f"parameters, coco_person:val {figures}",
        flush=True,
    )


@functools.cache
def validation():
    """The validation list of `coco_person`."""
    return load_dataset(f"{SHARED / 'data' / 'coco_person'}:val")


def save(model, path):
    """Saves a model under a temporary name and renames it."""
    temporary = path.with_suffix(".part.keras")
    model.save(temporary)
    temporary.replace(path)


def endless(stream):
    """The rest of a stream, for Keras."""
    while True:
        yield next(stream)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="PRESET", help="recipes to run; all by default")
    parser.add_argument("--runs", type=pathlib.Path, default=ROOT / "runs" / "zoo")
    arguments = parser.parse_args()
    for preset in arguments.names or sorted(path.stem for path in RECIPES.glob("*.json")):
        main(preset, arguments.runs)
