"""What loads when: help at once, inference without training code, scoring without Keras."""

import json
import os
import resource
import subprocess
import sys

import pytest

from keras_hkd.cli.main import COMMANDS

HEAVY = {"tensorflow", "keras", "keras_cv", "keras_hub", "keras_core", "jax", "torch", "numpy"}
REPORT_MODULES = "\nimport sys, json\nprint('MODULES=' + json.dumps(list(sys.modules)))"
HELP = """
from keras_hkd.cli.main import main
for arguments in {commands!r}:
    try:
        main(arguments)
    except SystemExit as left:
        assert left.code == 0, left.code
"""

pytestmark = pytest.mark.own_process


@pytest.fixture(scope="module")
def modules_after(fresh_python):
    """Give a function that runs code in a fresh Python and names all modules that it loaded."""

    def run(source):
        last = fresh_python(source + REPORT_MODULES).splitlines()[-1]
        return set(json.loads(last.removeprefix("MODULES=")))

    return run


def test_importing_the_package_loads_nothing_heavy(modules_after):
    loaded = modules_after("import keras_hkd; dir(keras_hkd); keras_hkd.__version__")
    assert not loaded & HEAVY
    assert {name for name in loaded if name.startswith("keras_hkd")} == {
        "keras_hkd",
        "keras_hkd._lazy",
        "keras_hkd.registration",
        "keras_hkd.sources",
    }


def test_help_loads_nothing_heavy_and_no_command(modules_after):
    loaded = modules_after(HELP.format(commands=[["--help"]]))
    assert not loaded & HEAVY
    assert not loaded & {f"keras_hkd.cli.{name}" for name in COMMANDS}


def test_help_of_no_command_loads_a_framework(modules_after):
    loaded = modules_after(HELP.format(commands=[[command, "--help"] for command in COMMANDS]))
    assert not loaded & (HEAVY - {"numpy"})


def test_help_costs_about_a_second():
    # Processor time of the child, so that a busy machine does not fail the test.
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-c", HELP.format(commands=[["--help"]])],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert seconds < 1.5


def test_scoring_loads_no_framework(modules_after):
    loaded = modules_after(
        "import keras_hkd.cli.score\n"
        "import keras_hkd.metrics as metrics\n"
        "[getattr(metrics, name) for name in metrics.__all__]"
    )
    assert not loaded & (HEAVY - {"numpy"})


def test_reading_annotations_loads_no_framework(modules_after):
    loaded = modules_after("from keras_hkd.data import load_dataset")
    assert not loaded & (HEAVY - {"numpy"})


def test_inference_loads_no_training_code(modules_after):
    loaded = modules_after(
        "import keras_hkd\n"
        "keras_hkd.load_detector\n"
        "[getattr(keras_hkd.inference, name) for name in keras_hkd.inference.__all__]\n"
        "[getattr(keras_hkd.evaluation, name) for name in keras_hkd.evaluation.__all__]"
    )
    training = ("training", "distillation", "methods", "hierarchies", "losses")
    assert not [
        name for name in loaded if name.startswith(tuple(f"keras_hkd.{t}" for t in training))
    ]
