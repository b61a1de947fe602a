"""Methods for classifiers that need no trained teacher: run, killed and resumed as commands."""

import json
import os

import numpy as np
import pytest

DATA = "synthetic:train?num_images=8&num_classes=2&height=32&width=32"
OPTIONS = {
    "hssakd": ["branch-style=light"],
    "osakd": ["num-neighbours=2", "queue-size=12"],
    "lw_kd": ["images-per-class=4", "num-instances=3", "max-steps=2"],
}


def distill_words(out, method, *more):
    words = ["distill", "--data", DATA, "--student", "cnn_micro", "--method", method]
    words += ["--out", out, "--epochs", 2, "--batch-size", 4, "--image-size", 32]
    words += ["--teacher", "cnn_micro"] if method == "hssakd" else []
    for option in OPTIONS[method]:
        words += ["--method-option", option]
    return [*words, "--json", *more]


@pytest.mark.slow
@pytest.mark.parametrize(
    "method",
    [pytest.param(name, marks=[pytest.mark.long] * (name != "lw_kd")) for name in OPTIONS],
)
def test_a_run_whose_last_epoch_is_lost_ends_as_it_did(method, tmp_path, command):
    from keras_hkd import load_classifier

    code, out, err = command(*distill_words(tmp_path / "run", method))
    assert code == 0, err
    rows = json.loads(out)
    assert "student" in rows and "teacher" not in rows
    assert ("peer" in rows) == (method == "hssakd")
    files = set(os.listdir(tmp_path / "run"))
    assert ("lightweight_teacher.npz" in files) == (method == "lw_kd")
    wanted = [w.numpy() for w in load_classifier(tmp_path / "run" / "student.keras").weights]
    history = json.loads((tmp_path / "run" / "history.json").read_text())

    # As a run that was killed in its second epoch leaves it.
    (tmp_path / "run" / "checkpoints" / "epoch_0002.npz").unlink()
    (tmp_path / "run" / "student.keras").unlink()
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    (tmp_path / "run" / "run.json").write_text(json.dumps({**record, "status": "running"}))
    code, _, err = command(*distill_words(tmp_path / "run", method, "--resume"))
    assert code == 0, err
    again = json.loads((tmp_path / "run" / "history.json").read_text())
    for name in set(history) - {"seconds", "learning_rate", "images_per_second"}:
        np.testing.assert_allclose(again[name], history[name], rtol=1e-3, atol=1e-4)
    found = load_classifier(tmp_path / "run" / "student.keras").weights
    for a, b in zip(wanted, found, strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-2, atol=1e-3)


def test_a_teacher_is_refused(tmp_path, command):
    code, _, err = command(*distill_words(tmp_path / "run", "osakd", "--teacher", "cnn_small"))
    assert code == 2
    assert "has no teacher to load" in err
