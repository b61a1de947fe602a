"""What the classifier examples share: a student alone and a taught one, same images, same steps."""

import rich
from arguments import arguments as arguments_of
from output_folder import emptied

from keras_hkd.classifiers import build
from keras_hkd.data import load_classification
from keras_hkd.evaluation import evaluate_classifier
from keras_hkd.report import rich_table, save_curves
from keras_hkd.training import RunFolder, TrainingSettings, train_model

NUM_CLASSES = 8


def arguments(docstring, *, images=160, epochs=30):
    """The options of a classifier example."""
    sizes = {"images": images, "test_images": 400, "smoke_images": (NUM_CLASSES, NUM_CLASSES)}
    return arguments_of(docstring, epochs=epochs, **sizes)


class ClassifierComparison:
    """One example: its drawn classes, and the classifiers that it trains and measures.

    Args:
        given: what `arguments` gave.
    """

    def __init__(self, given):
        emptied(given.out)
        self.given, self.run = given, RunFolder(given.out)
        self.size = (32, 32) if given.smoke else (48, 48)
        self.images = self.drawn("train", given.images, seed=1)
        self.settings = TrainingSettings(
            epochs=given.epochs,
            batch_size=4 if given.smoke else 16,
            learning_rate=3e-3,
            ema_momentum=0.95,
            seed=given.seed,
            image_size=self.size,
        )
        self.classifiers, self.histories = {}, {}

    def drawn(self, name, count, seed):
        """A dataset of people and things, drawn on the fly."""
        height, width = self.size
        return load_classification(
            f"synthetic:{name}?num_images={count}&num_classes={NUM_CLASSES}&seed={seed}"
            f"&height={height}&width={width}"
        )

    def build(self, name, seed=0):
        """A named classifier; every call with one seed gives the same weights."""
        names = self.images.class_names
        seed += self.given.seed
        return build(name, class_names=names, image_size=self.size, seed=seed)

    def train(self, name, model):
        """Trains a classifier or a Distiller, and keeps the bare classifier to be measured."""
        self.histories[name] = train_model(
            model, self.images, self.settings, self.given.out / name, title=name
        )
        self.classifiers[name] = getattr(model, "student", model)

    def report(self, **more):
        """Measures all classifiers, and those given besides, on images that no training saw."""
        test = self.drawn("test", self.given.test_images, seed=2)
        rows = {
            name: evaluate_classifier(classifier, test)
            for name, classifier in {**self.classifiers, **more}.items()
        }
        self.run.write_json("metrics.json", rows)
        save_curves(self.histories, self.run.path / "curves.png", title=self.run.path.name)
        columns = ("parameters", "accuracy", "balanced_accuracy")
        rich.print(rich_table(rows, columns, title=f"{len(test)} drawn images never trained on"))
        rich.print(f"Written to {self.run.path}: metrics.json, curves.png")
