"""Distil a pedestrian detector on drawn street scenes, and measure what it gained.

    make demo        (about eight minutes on two CPU cores, the installation aside)

The scenes are a nearer and less cluttered street than the teacher was trained on (2.6 M
parameters; `make demo-teacher` rebuilds it). It teaches a student of 0.29 M; the
same student is also trained alone, on the same images for as many steps. Everything is written to
`runs/demo/`: `student.keras`, `metrics.json`, `curves.png` and `gallery.png`.
"""

import argparse
import pathlib

import rich
from output_folder import emptied

from keras_hkd.data import load_dataset
from keras_hkd.detectors import build, load_detector
from keras_hkd.evaluation import measure_costs, predict_dataset, score_predictions
from keras_hkd.methods.hkd import hkd
from keras_hkd.report import rich_table, save_curves, save_dataset_gallery
from keras_hkd.training import RunFolder, TrainingSettings, train_model

TEACHER = pathlib.Path(__file__).with_name("demo_teacher.keras")
SCENES = (
    "synthetic:{name}?num_images={count}&seed=1&height=256&width=256"
    "&person_height_percent=40&crowd_percent=0&things_percent=20"
)
# The weights of the proof on photographs. Here the class tower has three quarters of the gradient
# (`keras_hkd.distillation.gradient_shares`), the region term a twentieth.
HKD = {"pyramid_weight": 2.0, "region_weight": 3.0, "logit_weight": 30.0}


def main(out, num_images, num_test_images, epochs, seed):
    """Trains the student twice, measures all three detectors, and writes `out`."""
    emptied(out)
    train = load_dataset(SCENES.format(name="demo-student", count=num_images))
    test = load_dataset(SCENES.format(name="demo-test", count=num_test_images))
    teacher = load_detector(TEACHER)
    settings = TrainingSettings(
        epochs=epochs,
        batch_size=8,
        learning_rate=3e-3,
        ema_momentum=0.99,
        seed=seed,
        image_size=teacher.image_size,
    )
    detectors, histories = {"teacher": teacher}, {}
    for name in ("student_alone", "student_distilled"):
        student = build("yolo_v8_micro", image_size=teacher.image_size, seed=seed)
        model = hkd(teacher, student, **HKD) if name == "student_distilled" else student
        histories[name] = train_model(model, train, settings, out / name, title=name)
        detectors[name] = student
    report(RunFolder(out), detectors, histories, test)


def report(run, detectors, histories, test):
    """Scores, costs and pictures of all detectors."""
    rows, found = {}, {}
    for name, detector in detectors.items():
        found[name] = predict_dataset(detector, test)
        rows[name] = score_predictions(test, found[name])
    for name, cost in measure_costs(detectors).items():
        rows[name].update(cost)
    run.save_model(detectors["student_distilled"], "student.keras")
    run.write_json("metrics.json", rows)
    save_curves(histories, run.path / "curves.png", title="Synthetic scenes")
    save_dataset_gallery(test, found, run.path / "gallery.png")
    columns = ("parameters", "gflops", "AP", "AP50", "MR2", "latency_ms")
    rich.print(rich_table(rows, columns, title=f"{len(test)} drawn scenes the training never saw"))
    rich.print(f"Written to {run.path}: student.keras, metrics.json, curves.png, gallery.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/demo"))
    parser.add_argument("--images", type=int, default=480, help="training scenes")
    parser.add_argument("--test-images", type=int, default=150, help="scenes to measure on")
    parser.add_argument("--epochs", type=int, default=18)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    main(given.out, given.images, given.test_images, given.epochs, given.seed)
