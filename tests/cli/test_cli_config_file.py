import pathlib
from typing import Annotated, Literal

import hypothesis
import hypothesis.strategies as st
import pytest
import typer
import yaml
from typer.testing import CliRunner

from keras_hkd.cli import options
from keras_hkd.cli.config_file import read_config


def make_app() -> typer.Typer:
    """Make a command with many kinds of option; it prints its values, one a line."""
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command()
    def command(
        teacher: pathlib.Path,
        data: options.Data,
        epochs: Annotated[int, typer.Option(min=1)] = 5,
        batch_size: int = 8,
        learning_rate: float = 0.5,
        on_bad_data: options.OnBadData = "raise",
        method: Annotated[Literal["hkd", "none"], typer.Option()] = "hkd",
        resume: bool = False,
        cache: Annotated[bool, typer.Option("--cache/--no-cache")] = True,
        as_json: options.Json = False,
        config: options.Config = None,
    ):
        for name, value in {**locals()}.items():
            print(name, repr(value))

    return app


@pytest.fixture
def run(tmp_path):
    def call(config: str, *arguments: str):
        file = tmp_path / "run.yaml"
        file.write_text(config)
        return CliRunner().invoke(make_app(), ["--config", str(file), *arguments])

    return call


def values(result) -> dict:
    assert result.exit_code == 0, result.output
    return dict(line.split(" ", 1) for line in result.output.splitlines())


def test_a_file_can_hold_every_option_and_argument(run):
    config = """
    teacher: big.keras
    data: [a, "b:train"]
    epochs: 12
    batch-size: 16
    learning_rate: 1e-3
    on-bad-data: skip
    method: none
    resume: true
    cache: false
    json: true
    """
    got = values(run(config))
    assert got["teacher"] == "PosixPath('big.keras')"
    assert got["data"] == "['a', 'b:train']"
    assert (got["epochs"], got["batch_size"]) == ("12", "16")
    assert got["learning_rate"] == "0.001"
    assert (got["on_bad_data"], got["method"]) == ("'skip'", "'none'")
    assert (got["resume"], got["cache"], got["as_json"]) == ("True", "False", "True")


def test_flags_lie_on_top_of_the_file(run):
    config = "{teacher: big, data: a, epochs: 12, cache: false, resume: true}"
    got = values(run(config, "--epochs", "3", "--data", "c", "--data", "d", "--cache", "small"))
    assert got["epochs"] == "3"
    assert got["data"] == "['c', 'd']"
    assert got["cache"] == "True"
    assert got["teacher"] == "PosixPath('small')"
    assert got["resume"] == "True"


def test_one_value_does_for_a_repeatable_option(run):
    assert values(run("data: only", "t"))["data"] == "['only']"


def test_null_means_not_said(run):
    assert values(run("{data: a, epochs: null}", "t"))["epochs"] == "5"


def test_an_empty_file_says_nothing(run):
    assert values(run("# nothing\n", "t", "--data", "a"))["epochs"] == "5"


def test_json_is_read_too(run):
    assert values(run('{"data": ["a"], "epochs": 7}', "t"))["epochs"] == "7"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("epoch: 3", "unknown key 'epoch'. Did you mean 'epochs'?"),
        ("batchsize: 3", "Did you mean 'batch_size'?"),
        ("as_json: true", "unknown key 'as_json'"),
        ("qqqq: 3", "Known keys: teacher, data, epochs"),
        ("3: 4", "unknown key 3"),
        ("config: other.yaml", "unknown key 'config'"),
        ("help: true", "unknown key 'help'"),
        ("epochs: many", "'--epochs'"),
        ("epochs: 3.5", "'--epochs'"),
        ("epochs: 0", "'--epochs'"),
        ("epochs: true", "'--epochs'"),
        ("epochs: [1, 2]", "'epochs' takes one value. Received: [1, 2]"),
        ("method: {name: hkd}", "'method' takes one value"),
        ("data: [a, [b]]", "'data' takes a value or a list of values"),
        ("data: [a, null]", "'data' takes a value or a list of values"),
        ("resume: maybe", "'resume' takes true or false. Received: 'maybe'"),
        ("resume: 1", "'resume' takes true or false"),
        ("method: other", "'other'"),
        ("- a\n- b", "must hold option names and values"),
        ("a: [", "is not a YAML file"),
        ("!!python/object:os.system {}", "is not a YAML file"),
    ],
)
def test_a_wrong_file_is_wrong_usage(run, config, said):
    result = run(config, "t", "--data", "a")
    assert result.exit_code == 2
    flat = " ".join(result.output.replace("│", " ").split())
    assert said in flat


def test_a_missing_file_is_wrong_usage():
    result = CliRunner().invoke(make_app(), "t --data a --config absent.yaml".split())
    assert result.exit_code == 2
    assert "absent.yaml" in result.output


def test_a_folder_is_wrong_usage(tmp_path):
    with pytest.raises(typer.BadParameter, match="cannot read"):
        read_config(tmp_path)


@hypothesis.given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_clearly(tmp_path_factory, content):
    file = tmp_path_factory.mktemp("any") / "run.yaml"
    file.write_bytes(content)
    try:
        assert isinstance(read_config(file), dict)
    except typer.BadParameter as error:
        assert str(file) in str(error)


TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126))


@hypothesis.given(
    st.dictionaries(TEXTS, st.none() | st.booleans() | st.integers() | TEXTS, max_size=4)
)
def test_what_yaml_writes_is_read_back(tmp_path_factory, mapping):
    file = tmp_path_factory.mktemp("round") / "run.yaml"
    file.write_text(yaml.safe_dump(mapping, allow_unicode=True), encoding="utf-8")
    assert read_config(file) == mapping
