"""The command line on the JAX backend: what runs there, and what says that it needs TensorFlow."""

import importlib.util
import json

import pytest
from PIL import Image

pytestmark = [
    pytest.mark.long,
    pytest.mark.own_process,
    pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed"),
]

COMMANDS = """
import contextlib, io, json, sys

import keras

from keras_hkd.cli.main import main

assert keras.backend.backend() == "jax"
found = {}
for name, words in json.loads(sys.argv[1]).items():
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            main(words)
        except SystemExit as left:
            found[name] = [left.code, said.getvalue()[-1500:]]
print(json.dumps(found))
"""
TWO_DEVICES = "--xla_force_host_platform_device_count=2"


def run(fresh_python, commands):
    words = json.dumps({name: [str(word) for word in each] for name, each in commands.items()})
    on_jax = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": TWO_DEVICES}
    told = fresh_python(COMMANDS, words, timeout=3600, **on_jax)
    return json.loads(told.splitlines()[-1])


def test_commands_run_on_jax_or_name_what_does_not(fresh_python, tmp_path):
    data = "synthetic:train?num_images=4&height=64&width=64"
    common = ["--data", data, "--epochs", 1, "--batch-size", 2, "--image-size", 64]
    teacher, student = tmp_path / "teacher", tmp_path / "student"
    file = student / "student.keras"
    of_two = ["--strategy", "mirrored"]
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    Image.new("RGB", (80, 60), (90, 120, 40)).save(pictures / "one.png")
    distil = ["distill", "--student", "yolo_v8_micro", *common]
    found = run(
        fresh_python,
        {
            "train": ["train", "--detector", "yolo_v8_micro", *common, "--out", teacher],
            "distill": [
                *(*distil, "--teacher", teacher / "detector.keras", "--out", student, *of_two),
                *("--mixed-precision", "--half-precision", "bfloat16", "--validate-every", 1),
            ],
            "cache": [
                *("cache", "--teacher", teacher / "detector.keras", "--data", data),
                *("--out", tmp_path / "cache", "--image-size", 64, "--views", 1),
            ],
            "evaluate": ["evaluate", file, "--data", data],
            "detect": ["detect", pictures, "--model", file, "--out", tmp_path / "found"],
            "export": ["export", file, tmp_path / "s.tflite"],
            "quantize": [
                *("train", "--detector", file, "--quantize", *common, "--out", tmp_path / "q"),
            ],
        },
    )
    print(json.dumps(found, indent=1))
    for name in ("train", "distill", "cache", "evaluate", "detect"):
        assert found[name][0] == 0, (name, found[name])
    for name, part in (("export", "Export"), ("quantize", "Compression")):
        code, said = found[name]
        assert code == 2, (name, said)
        assert part in said and "KERAS_BACKEND=tensorflow" in said, said
