import dataclasses
import os
import sys
import types

import pytest
import typer
from typer.testing import CliRunner

from keras_hkd.cli import distill, train, training_options
from keras_hkd.cli.training_options import RunOptions, with_run_options
from keras_hkd.training import TrainingSettings

REQUIRED = "--data a --out x --epochs 40"
KIND = types.SimpleNamespace(default_image_size=(64, 96))


@pytest.fixture
def environment(monkeypatch):
    """Take the settings away for one test, and let nothing that it sets outlive it."""
    for name in training_options.DETERMINISTIC_ENVIRONMENT:
        monkeypatch.setenv(name, "unset")
        monkeypatch.delenv(name)
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    return monkeypatch


@pytest.fixture
def run():
    """Give a function from the words of a command to what it was given."""
    found = []

    @with_run_options
    def command(given: RunOptions, more: str = "none"):
        found.append((given, more))

    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(command)

    def given_by(words):
        result = CliRunner().invoke(app, words.split())
        assert result.exit_code == 0, result.output
        return found.pop()

    given_by.app = app
    return given_by


def options_of(command):
    app = typer.Typer()
    app.command()(command)
    return {option.name: option for option in typer.main.get_command(app).params}


def test_every_setting_is_an_option_with_its_default_and_meaning():
    options, of_train = (options_of(one.command) for one in (distill, train))
    of_distillation = {"shares_every", "rebalance_after"}
    assert {field.name for field in dataclasses.fields(TrainingSettings)} - set(
        of_train
    ) == of_distillation
    for field in dataclasses.fields(TrainingSettings):
        option = options[field.name]
        assert f"--{field.name.replace('_', '-')}" in option.opts
        assert option.required == (field.default is dataclasses.MISSING)
        assert option.help
        if field.name not in ("epochs", "image_size", "validate_every"):
            assert option.default == field.default


def test_what_is_not_given_are_the_settings_own_values(run):
    given, more = run(REQUIRED)
    assert more == "none"
    expected = TrainingSettings(epochs=40, image_size=(64, 96), validate_every=4)
    assert given.settings(KIND) == expected


def test_what_is_given_becomes_a_setting(run):
    words = "--batch-size 4 --ema-momentum 0 --global-clip-norm 0 --no-augment --no-cache --seed 3"
    words += " --image-size 96x128 --validate-every 0 --strategy mirrored --learning-rate 0.01"
    given, _ = run(f"{REQUIRED} {words}")
    assert given.settings(KIND) == TrainingSettings(
        epochs=40,
        batch_size=4,
        ema_momentum=None,
        global_clip_norm=None,
        augment=False,
        cache="none",
        seed=3,
        image_size=(96, 128),
        validate_every=0,
        strategy="mirrored",
        learning_rate=0.01,
    )
    assert (given.seed, given.strategy, given.image_size) == (3, "mirrored", (96, 128))


def test_terms_that_are_watched_and_balanced_anew(run):
    settings = run(f"{REQUIRED} --shares-every 0 --rebalance-after 12,4")[0].settings(KIND)
    assert (settings.shares_every, settings.rebalance_after) == (0, (4, 12))
    with pytest.raises(ValueError, match="numbers of epochs with commas.*Received: '4;12'"):
        training_options.parse_epochs("4;12")


@pytest.mark.parametrize(
    ("given", "expected"),
    [("disk", "disk"), ("true", "memory"), ("False", "none"), ("none", "none"), (None, "auto")],
)
def test_where_images_are_kept(run, tmp_path, given, expected):
    words = "" if given is None else f"--cache {given} --cache-folder {tmp_path}"
    settings = run(f"{REQUIRED} {words}")[0].settings(KIND)
    assert settings.cache == expected
    assert settings.cache_folder == (None if given is None else str(tmp_path))


@pytest.mark.parametrize(
    "words",
    [
        *("--data a --out x", f"{REQUIRED} --seed -1", f"{REQUIRED} --strategy many"),
        f"{REQUIRED} --cache ram",
    ],
)
def test_missing_or_impossible_values_are_wrong_usage(run, words):
    assert CliRunner().invoke(run.app, words.split()).exit_code == 2


def test_a_value_that_only_the_settings_refuse_is_named(run):
    given, _ = run(f"{REQUIRED} --learning-rate 0")
    with pytest.raises(ValueError, match="`learning_rate` must be .* above 0"):
        given.settings(KIND)


def test_deterministic_sets_what_tensorflow_reads(run, environment):
    result = CliRunner().invoke(run.app, "--data a --out x --epochs 1 --deterministic".split())
    assert result.exit_code == 0
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "0"
    assert os.environ["TF_DETERMINISTIC_OPS"] == "1"


def test_without_the_option_nothing_is_set(run, environment):
    assert CliRunner().invoke(run.app, REQUIRED.split()).exit_code == 0
    assert "TF_ENABLE_ONEDNN_OPTS" not in os.environ


def test_deterministic_can_come_from_the_file(run, environment, tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("{data: a, out: x, epochs: 1, deterministic: true}")
    assert CliRunner().invoke(run.app, ["--config", str(file)]).exit_code == 0
    assert os.environ["TF_DETERMINISTIC_OPS"] == "1"


def test_deterministic_too_late_is_refused(environment):
    environment.setitem(sys.modules, "tensorflow", types.ModuleType("tensorflow"))
    with pytest.raises(typer.BadParameter, match="TensorFlow is loaded already"):
        training_options.set_deterministic_environment(True)
    assert "TF_DETERMINISTIC_OPS" not in os.environ


def test_deterministic_again_in_a_process_that_has_it_is_fine(environment):
    for name, value in training_options.DETERMINISTIC_ENVIRONMENT.items():
        environment.setenv(name, value)
    environment.setitem(sys.modules, "tensorflow", types.ModuleType("tensorflow"))
    assert training_options.set_deterministic_environment(True)


def test_what_mixes_images_becomes_settings(run):
    words = "--mosaic 0.5 --mixup 0.1 --copy-paste 0.3 --sizes 256,192x320 --mosaic-off-epochs 5"
    given, _ = run(f"{REQUIRED} {words}")
    settings = given.settings(KIND)
    assert settings.mixing == {
        "mosaic": 0.5,
        "mixup": 0.1,
        "copy_paste": 0.3,
        "sizes": ((256, 256), (192, 320)),
    }
    assert settings.mosaic_off_epochs == 5
    assert TrainingSettings.from_dict(settings.to_dict()) == settings


def test_sizes_that_are_none_are_refused_by_their_option(run):
    result = CliRunner().invoke(run.app, f"{REQUIRED} --sizes 256,twelve".split())
    assert "`--sizes` must be" in str(result.exception) and "'twelve'" in str(result.exception)
