"""What the detector examples share: a student alone and a taught one, same images, same steps."""

import dataclasses
import pathlib

import rich
from arguments import arguments as arguments_of
from output_folder import emptied

from keras_hkd.data import load_dataset
from keras_hkd.detectors import build, load_detector
from keras_hkd.evaluation import predict_dataset, score_predictions
from keras_hkd.report import rich_table, save_curves, save_dataset_gallery
from keras_hkd.training import RunFolder, TrainingSettings, train_model

TEACHER = pathlib.Path(__file__).with_name("demo_teacher.keras")


def arguments(docstring, *, images, epochs):
    """The options of a detector example."""
    sizes = {"images": images, "test_images": 150, "smoke_images": (4, 2)}
    return arguments_of(docstring, epochs=epochs, **sizes)


class Comparison:
    """One example: its scenes, its teacher, and the detectors that it trains and measures.

    Args:
        given: what `arguments` gave.
    """

    def __init__(self, given):
        emptied(given.out)
        self.given, self.run = given, RunFolder(given.out)
        self.size = (64, 64) if given.smoke else (256, 256)
        self.labelled = load_dataset(self.scenes("example-train", given.images))
        self.teacher = self.build_student(seed=99) if given.smoke else load_detector(TEACHER)
        self.settings = TrainingSettings(
            epochs=given.epochs,
            batch_size=2 if given.smoke else 8,
            learning_rate=2e-3,
            ema_momentum=0.99,
            seed=given.seed,
            image_size=self.size,
        )
        self.detectors, self.histories = {}, {}

    def scenes(self, name, count):
        """Drawn scenes as `load_dataset` and `load_unlabelled` take them."""
        height, width = self.size
        return f"synthetic:{name}?num_images={count}&seed=1&height={height}&width={width}"

    def build_student(self, seed=None):
        """A detector of 0.29 M parameters; every call with one seed gives the same weights."""
        seed = self.given.seed if seed is None else seed
        return build("yolo_v8_micro", image_size=self.size, seed=seed)

    def train(self, name, model, dataset=None, epochs=None):
        """Trains a detector or a Distiller, and keeps the detector to be measured."""
        settings = dataclasses.replace(self.settings, epochs=epochs or self.given.epochs)
        dataset = self.labelled if dataset is None else dataset
        self.histories[name] = train_model(
            model, dataset, settings, self.given.out / name, title=name
        )
        self.detectors[name] = getattr(model, "student", model)

    def report(self, **more):
        """Measures all detectors, and those given besides, on scenes that no training saw."""
        test = load_dataset(self.scenes("example-test", self.given.test_images))
        rows, found = {}, {}
        for name, detector in {**more, **self.detectors}.items():
            found[name] = predict_dataset(detector, test)
            scores = score_predictions(test, found[name])
            rows[name] = {"parameters": detector.count_params(), **scores}
        self.run.write_json("metrics.json", rows)
        save_curves(self.histories, self.run.path / "curves.png", title=self.run.path.name)
        save_dataset_gallery(test, found, self.run.path / "gallery.png")
        columns = ("parameters", "AP", "AP50", "MR2")
        rich.print(rich_table(rows, columns, title=f"{len(test)} drawn scenes never trained on"))
        rich.print(f"Written to {self.run.path}: metrics.json, curves.png, gallery.png")
