"""Classifiers on the command line: train, distil, evaluate, resume."""

import json
import os

import pytest
from PIL import Image

from keras_hkd.cli.main import main
from keras_hkd.data.drawn.classification import synthetic_classification

SIZE = 32


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Eight drawings in `train` and four in `val`, two classes."""
    folder = tmp_path_factory.mktemp("classes")
    for split, count in (("train", 8), ("val", 4)):
        dataset = synthetic_classification(count, 2, (SIZE, SIZE), seed=count)
        for number, (image, index) in enumerate(zip(dataset.images, dataset.classes, strict=True)):
            place = folder / split / dataset.class_names[index]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(place / f"{number}.png")
    return folder


def words(command, data, out, *more):
    base = [command, "--data", f"{data}:train", "--val", f"{data}:val", "--out", out, "--json"]
    return [*base, "--epochs", 1, "--batch-size", 4, "--image-size", SIZE, *more]


@pytest.fixture(scope="module")
def teacher(data, tmp_path_factory):
    """A finished training run."""
    out = tmp_path_factory.mktemp("runs") / "teacher"
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words("train", data, out, "--classifier", "cnn_micro")])
    assert end.value.code == 0
    return out


@pytest.mark.slow
def test_training_leaves_a_classifier_and_its_figures(teacher, data, command):
    assert {"classifier.keras", "metrics.json", "curves.png"} <= set(os.listdir(teacher))
    metrics = json.loads((teacher / "metrics.json").read_text())
    found = metrics["classifier"]
    assert set(found["recall"]) == {"car", "person"} and found["gflops"] > 0
    history = json.loads((teacher / "history.json").read_text())
    assert history["val_accuracy"] == [pytest.approx(found["accuracy"])]
    file = teacher / "classifier.keras"
    code, out, _ = command("evaluate", file, "--data", f"{data}:val", "--json", "--no-cost")
    assert code == 0 and json.loads(out)["accuracy"] == pytest.approx(found["accuracy"])
    code, _, told = command("evaluate", file, "--data", f"{data}:val", "--protocol", "citypersons")
    assert code == 2 and "--protocol" in told and "a classifier makes none" in told


@pytest.mark.slow
def test_a_teacher_is_distilled_and_the_run_resumes(teacher, data, tmp_path, command):
    more = ["--teacher", teacher / "classifier.keras", "--student", "cnn_micro", "--method", "kd"]
    asked = words("distill", data, tmp_path / "run", *more, "--method-option", "temperature=2")
    code, out, told = command(*asked)
    assert code == 0, told
    assert {"teacher", "student"} <= set(json.loads(out))
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    assert {"loss", "class_loss", "logits_loss", "val_accuracy"} <= set(history)
    code, again, told = command(*asked, "--resume")
    assert code == 0 and "nothing to do" in told and json.loads(again) == json.loads(out)


@pytest.mark.slow
def test_detectors_methods_are_refused_for_classifiers(teacher, data, tmp_path, command):
    more = ["--teacher", teacher / "classifier.keras", "--student", "cnn_micro", "--method", "hkd"]
    code, _, told = command(*words("distill", data, tmp_path / "run", *more))
    assert code == 2 and "Pyramid reads detectors only" in told.replace("\n", " ")
