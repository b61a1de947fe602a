"""`distill --method hsakd` on class folders: the teacher's branches first, then the student."""

import json
import os

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

NAMES = ("car", "person")
LIGHT = ("branch_style=light", "teacher_branch_style=light")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two classes of three images each, and a teacher for them."""
    from keras_hkd.classifiers import build

    path = tmp_path_factory.mktemp("data")
    generator = np.random.default_rng(0)
    for name in NAMES:
        (path / "train" / name).mkdir(parents=True)
        for number in range(3):
            pixels = generator.integers(0, 255, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path / "train" / name / f"{number}.png")
    for seed in (1, 2):
        teacher = build("cnn_micro", class_names=NAMES, image_size=(32, 32), seed=seed)
        teacher.save(path / f"teacher{seed}.keras")
    return path


def distill(command, folder, out, *more, teacher=None, options=LIGHT):
    words = ["distill", "--data", f"{folder}:train", "--out", out, "--epochs", 1, "--seed", 5]
    words += ["--teacher", teacher or folder / "teacher1.keras", "--student", "cnn_micro"]
    words += ["--method", "hsakd", "--batch-size", 3, "--no-augment", *more]
    words += [word for option in options for word in ("--method-option", option)]
    code, _, err = command(*words)
    return code, err


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("runs") / "hsakd"


def test_from_a_plain_classifier_to_a_plain_student(folder, out, command):
    from keras_hkd.classifiers import Classifier, SelfSupervisedClassifier, load_classifier

    code, err = distill(command, folder, out)
    assert code == 0, err
    assert "First the teacher's branches are trained" in err
    student, teacher = (
        load_classifier(out / f) for f in ("student.keras", "teacher/teacher.keras")
    )
    assert type(student) is Classifier and type(teacher) is SelfSupervisedClassifier
    plain = load_classifier(folder / "teacher1.keras")
    assert student.count_params() == plain.count_params() == teacher.deployed.count_params()
    for a, b in zip(teacher.deployed.weights, plain.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["teacher"]["parameters"] == metrics["student"]["parameters"]
    history = json.loads((out / "history.json").read_text())
    assert {"class_loss", "branches_loss", "rotated_logits_loss"} < set(history)


def test_resumes_with_the_same_teacher_only(folder, out, command):
    from keras_hkd.classifiers import load_classifier

    before = load_classifier(out / "student.keras").get_weights()
    record = json.loads((out / "run.json").read_text())
    (out / "run.json").write_text(json.dumps({**record, "status": "running"}))
    checkpoint = out / "teacher" / "checkpoints" / "epoch_0001.npz"
    written = checkpoint.stat().st_mtime_ns
    code, err = distill(command, folder, out, "--resume")
    assert code == 0, err
    assert checkpoint.stat().st_mtime_ns == written
    for a, b in zip(load_classifier(out / "student.keras").get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)

    (out / "run.json").write_text(json.dumps({**record, "status": "running"}))
    teacher = folder / "other" / "teacher1.keras"
    teacher.parent.mkdir()
    os.link(folder / "teacher2.keras", teacher)
    code, err = distill(command, folder, out, "--resume", teacher=teacher)
    assert code == 2
    assert "classifier_hash was" in err


def test_a_teacher_with_branches_is_taken_as_it_is(folder, out, tmp_path, command):
    teacher, options = out / "teacher" / "teacher.keras", LIGHT[:1]
    code, err = distill(command, folder, tmp_path / "run", teacher=teacher, options=options)
    assert code == 0, err
    assert "First the teacher" not in err and not (tmp_path / "run" / "teacher").exists()


def test_a_bad_option_is_told_before_anything_is_trained(folder, tmp_path, command):
    code, err = distill(command, folder, tmp_path / "run", options=["brunch_weight=1"])
    assert code == 2
    assert "brunch_weight" in err and not (tmp_path / "run").exists()
