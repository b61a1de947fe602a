import os
import sys
import types

import pytest
import typer
from typer.testing import CliRunner

from keras_hkd.cli import options


@pytest.fixture
def environment(monkeypatch):
    """Take the settings away for one test, and let nothing that it sets outlive it."""
    for name in options.DETERMINISTIC_ENVIRONMENT:
        monkeypatch.setenv(name, "unset")
        monkeypatch.delenv(name)
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    return monkeypatch


@pytest.fixture
def app():
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def command(
        data: options.Data,
        out: options.Out,
        val: options.Val = None,
        data_format: options.Format = None,
        on_bad_data: options.OnBadData = "raise",
        seed: options.Seed = 0,
        as_json: options.Json = False,
        deterministic: options.Deterministic = False,
        strategy: options.Strategy = None,
        config: options.Config = None,
    ):
        print(data, val, data_format, on_bad_data, seed, as_json, strategy, out)

    return app


def test_data_and_val_may_be_repeated(app):
    words = "--data a --data b:test --val c --out runs/x --format voc --seed 4 --json".split()
    result = CliRunner().invoke(app, words)
    assert result.output == "['a', 'b:test'] ['c'] voc raise 4 True None runs/x\n"


@pytest.mark.parametrize(
    "words",
    [
        "--out x",
        "--data a",
        "--data a --out x --seed -1",
        "--data a --out x --on-bad-data ignore",
        "--data a --out x --strategy many",
    ],
)
def test_missing_or_impossible_values_are_wrong_usage(app, words):
    assert CliRunner().invoke(app, words.split()).exit_code == 2


def test_deterministic_sets_what_tensorflow_reads(app, environment):
    result = CliRunner().invoke(app, "--data a --out x --deterministic".split())
    assert result.exit_code == 0
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "0"
    assert os.environ["TF_DETERMINISTIC_OPS"] == "1"


def test_without_the_option_nothing_is_set(app, environment):
    assert CliRunner().invoke(app, "--data a --out x".split()).exit_code == 0
    assert "TF_ENABLE_ONEDNN_OPTS" not in os.environ


def test_deterministic_can_come_from_the_file(app, environment, tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("{data: a, out: x, deterministic: true}")
    assert CliRunner().invoke(app, ["--config", str(file)]).exit_code == 0
    assert os.environ["TF_DETERMINISTIC_OPS"] == "1"


def test_deterministic_too_late_is_refused(environment):
    environment.setitem(sys.modules, "tensorflow", types.ModuleType("tensorflow"))
    with pytest.raises(typer.BadParameter, match="TensorFlow is loaded already"):
        options.set_deterministic_environment(True)
    assert "TF_DETERMINISTIC_OPS" not in os.environ


def test_deterministic_again_in_a_process_that_has_it_is_fine(environment):
    for name, value in options.DETERMINISTIC_ENVIRONMENT.items():
        environment.setenv(name, value)
    environment.setitem(sys.modules, "tensorflow", types.ModuleType("tensorflow"))
    assert options.set_deterministic_environment(True)
