import pytest
import typer
from typer.testing import CliRunner

from keras_hkd.cli import options


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
        as_json: options.Json = False,
        config: options.Config = None,
    ):
        print(data, val, data_format, on_bad_data, as_json, out)

    return app


def test_data_and_val_may_be_repeated(app):
    words = "--data a --data b:test --val c --out runs/x --format voc --json".split()
    result = CliRunner().invoke(app, words)
    assert result.output == "['a', 'b:test'] ['c'] voc raise True runs/x\n"


@pytest.mark.parametrize(
    "words",
    [
        "--out x",
        "--data a",
        "--data a --out x --on-bad-data ignore",
    ],
)
def test_missing_or_impossible_values_are_wrong_usage(app, words):
    assert CliRunner().invoke(app, words.split()).exit_code == 2
