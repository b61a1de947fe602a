"""The real command, killed in the middle and called again with --resume."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from keras_hkd.training.checkpoint import list_checkpoints

DATA = "synthetic:train?num_images=6&height=64&width=64"
CALL = "from keras_hkd.cli.main import main; main()"


def start(out, *more):
    words = ["distill", "--data", DATA, "--teacher", "yolo_v8_micro", "--student", "yolo_v8_micro"]
    words += ["--out", str(out), "--epochs", "4", "--batch-size", "3", "--image-size", "64"]
    words += ["--deterministic", "--json", *more]
    environment = {name: v for name, v in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
    with open(out.parent / f"{out.name}.log", "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", CALL, *words],
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            text=True,
        )


def results_of(process, out):
    printed, _ = process.communicate(timeout=900)
    assert process.returncode == 0, (out.parent / f"{out.name}.log").read_text()[-4000:]
    return json.loads(printed)


@pytest.mark.long
@pytest.mark.own_process
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_killed_distillation_ends_bit_for_bit_like_an_uninterrupted_one(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    uninterrupted, process = start(whole), start(killed)
    while process.poll() is None and not list_checkpoints(killed / "checkpoints"):
        time.sleep(0.001)
    time.sleep(random.SystemRandom().uniform(0, 0.3))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (killed / "student.keras").exists()

    expected = results_of(uninterrupted, whole)
    resumed = results_of(start(killed, "--resume"), killed)
    for name in ("teacher", "student"):
        for figure in ("AP", "AP50", "AR100", "parameters"):
            assert resumed[name][figure] == expected[name][figure]
    assert len(json.loads((killed / "run.json").read_text())["sessions"]) == 2

    from keras_hkd.detectors import load_detector

    a, b = (load_detector(out / "student.keras") for out in (whole, killed))
    assert len(a.weights) == len(b.weights) > 50
    for left, right in zip(a.weights, b.weights, strict=True):
        np.testing.assert_array_equal(left.numpy(), right.numpy())
