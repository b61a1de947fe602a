"""Distil a pedestrian detector on drawn street scenes, and measure what it gained.

    python examples/demo.py        (`make demo` installs what it needs first)

Time: about 8 minutes on two CPU cores.
Figures: `make demo-figures` (`docs/results/demo.md`). One seed on drawn scenes shows that it runs,
not how much it gains.

The scenes are a nearer and less cluttered street than the teacher was trained on (2.6 M
parameters; `make demo-teacher` rebuilds it). It teaches a student of 0.29 M; the
same student is also trained alone, on the same images for as many steps. Everything is written to
`runs/demo/`: `student.keras`, `metrics.json`, `curves.png` and `gallery.png`.
"""

import pathlib

import rich
from arguments import arguments
from output_folder import emptied

from keras_hkd import Distiller
from keras_hkd.data import load_dataset
from keras_hkd.detectors import build, load_detector
from keras_hkd.evaluation import measure_costs, predict_dataset, score_predictions
from keras_hkd.report import rich_table, save_curves, save_dataset_gallery
from keras_hkd.training import RunFolder, TrainingSettings, train_model

TEACHER = pathlib.Path(__file__).with_name("demo_teacher.keras")
SCENES = (
    "synthetic:{name}?num_images={count}&seed=1&height={height}&width={width}"
    "&person_height_percent=40&crowd_percent=0&things_percent=20"
)


def main(given):
    """Trains the student twice, measures all three detectors, and writes `given.out`."""
    emptied(given.out)
    teacher = load_detector(TEACHER)
    if given.smoke:
        teacher.image_size = (64, 64)
    height, width = teacher.image_size
    train, test = (
        load_dataset(SCENES.format(name=name, count=count, height=height, width=width))
        for name, count in (("demo-student", given.images), ("demo-test", given.test_images))
    )
    settings = TrainingSettings(
        epochs=given.epochs,
        batch_size=2 if given.smoke else 8,
        learning_rate=3e-3,
        ema_momentum=0.99,
        seed=given.seed,
        image_size=teacher.image_size,
    )
    detectors, histories = {"teacher": teacher}, {}
    for name in ("student_alone", "student_distilled"):
        student = build("yolo_v8_micro", image_size=teacher.image_size, seed=given.seed)
        model = Distiller(teacher, student) if name == "student_distilled" else student
        histories[name] = train_model(model, train, settings, given.out / name, title=name)
        detectors[name] = student
    report(RunFolder(given.out), detectors, histories, test)


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
    main(arguments(__doc__, images=480, test_images=150, epochs=18, smoke_images=(4, 2)))
