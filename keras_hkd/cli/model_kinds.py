"""What `train`, `distill` and `evaluate` do differently for detectors and classifiers."""

import json
import pathlib
import zipfile
from pathlib import Path
from typing import Any

from keras_hkd.errors import InvalidValueError
from keras_hkd.preset_folder import CONFIG
from keras_hkd.zoo.catalogue import is_preset, preset_folder


class Detectors:
    """Finds people in images that are labelled with boxes."""

    name = "detector"
    default_image_size = (256, 256)
    shown = ("parameters", "gflops", "AP", "AP50", "MR2", "latency_ms")
    draws_gallery = True

    def load_data(self, source: Any, like: Any = None, **how: Any) -> Any:
        """Read the images of `--data` or `--val`; `like` is the dataset that was read before.

        What was read is reported; the options are those of `read_images`.
        """
        from keras_hkd.cli.datasets import read_images

        return read_images(source, **how)

    def build(self, name: str, **options: Any) -> Any:
        """Build a named model with random weights."""
        from keras_hkd import detectors

        return detectors.build(name, **options)

    def load(self, path: Path, **options: Any) -> Any:
        """Load a saved detector; the options are those of `load_detector`."""
        from keras_hkd import detectors

        return detectors.load_detector(path, **options)

    def measure(self, model: Any, dataset: Any, image_size: Any) -> tuple[dict[str, Any], Any]:
        """Measure scores; returns them and the predictions that the gallery shows."""
        from keras_hkd import evaluation

        results = evaluation.predict_dataset(model, dataset, image_size)
        scores = evaluation.score_predictions(dataset, results)
        scores.pop("num_images")
        return scores, results


class Classifiers:
    """Tells classes of whole images apart, in folders with one class each.

    Args:
        class_names: those of a saved classifier; None for the folders' own.
    """

    name = "classifier"
    default_image_size = (64, 64)
    shown = ("parameters", "gflops", "accuracy", "balanced_accuracy", "latency_ms")
    draws_gallery = False

    def __init__(self, class_names: Any = None) -> None:
        self.class_names = class_names

    def load_data(
        self, source: Any, like: Any = None, on_bad_data: str = "raise", **of_boxes: Any
    ) -> Any:
        """Read the images of `--data` or `--val`; `like` is the dataset that was read before.

        What was skipped is reported; other options are of boxes, and refused.
        """
        for name, value in of_boxes.items():
            if value:
                option = {"classes": "class"}.get(name, name)
                raise InvalidValueError(
                    f"`--{option}` is of boxes; a classifier's images lie in one folder per class. "
                    f"Received: --{option} {value}"
                )
        from keras_hkd.cli.datasets import report
        from keras_hkd.data import load_classification

        names = self.class_names if like is None else like.class_names
        dataset = load_classification(source, class_names=names, on_bad_data=on_bad_data)
        report(dataset)
        return dataset

    def build(self, name: str, **options: Any) -> Any:
        """Build a named model with random weights."""
        from keras_hkd import classifiers

        return classifiers.build(name, **options)

    def load(self, path: Path) -> Any:
        """Load a saved classifier."""
        from keras_hkd import classifiers

        return classifiers.load_classifier(path)

    def measure(self, model: Any, dataset: Any, image_size: Any) -> tuple[dict[str, Any], Any]:
        """Measure scores; returns them and no predictions."""
        from keras_hkd import evaluation

        scores = evaluation.evaluate_classifier(model, dataset, image_size)
        scores.pop("num_images")
        return scores, None


def kind_of(name_or_file: str) -> Detectors | Classifiers:
    """Tell the kind of a model from its name or its file, without loading it.

    Args:
        name_or_file: a `.keras` or `.tflite` file, a preset, or a name. Anything else counts as
            a detector, so that loading it raises the error.

    Example:

    >>> kind_of("cnn_micro").name, kind_of("yolo_v8_micro").name
    ('classifier', 'detector')
    """
    from keras_hkd.classifiers.catalogue import CATALOGUE

    if str(name_or_file) in CATALOGUE:
        return Classifiers()
    path = preset_folder(name_or_file) if is_preset(name_or_file) else pathlib.Path(name_or_file)
    config = _saved_config(path) if path.exists() else {}
    if config.get("registered_name") == "keras_hkd>SelfSupervisedClassifier":
        config = config["config"]["classifier"]  # a teacher with branches
    if config.get("registered_name") in ("keras_hkd>Classifier", "keras_hkd>CompressedClassifier"):
        return Classifiers(config.get("config", {}).get("class_names"))
    if config.get("class_name") in ("Functional", "Sequential") and _is_keras(config):
        return Classifiers()
    return Detectors()


def _is_keras(config: Any) -> bool:
    return str(config.get("module")).partition(".")[0] == "keras"


def _saved_config(path: Path) -> dict:
    try:
        if path.is_dir():
            config = json.loads((path / CONFIG).read_bytes())
        else:
            with zipfile.ZipFile(path) as archive:
                config = json.loads(archive.read(CONFIG))
    except (zipfile.BadZipFile, KeyError, ValueError, OSError):
        return {}
    return config if isinstance(config, dict) else {}
