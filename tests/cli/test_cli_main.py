import ast
import pathlib
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import keras_hkd
from keras_hkd.cli import main


@pytest.fixture
def command_source(tmp_path, monkeypatch):
    """Put a command written for the test where `keras-hkd score` looks for its own."""

    def put(source: str) -> None:
        (tmp_path / "score.py").write_text(source)
        monkeypatch.setattr("keras_hkd.cli.__path__", [str(tmp_path)])
        monkeypatch.delitem(sys.modules, "keras_hkd.cli.score", raising=False)
        monkeypatch.delattr("keras_hkd.cli.score", raising=False)

    yield put
    sys.modules.pop("keras_hkd.cli.score", None)


def run(*arguments: str):
    return CliRunner().invoke(main.make_app(), list(arguments))


def test_help_lists_every_command_with_its_line():
    result = run("--help")
    assert result.exit_code == 0
    for name in main.COMMANDS:
        assert f" {name} " in result.output
    assert "2 bad input or usage" in result.output


def test_every_file_with_a_command_is_listed_with_the_first_line_of_its_docstring():
    lines = {}
    for file in pathlib.Path(main.__file__).parent.glob("*.py"):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name == "command":
                lines[file.stem.replace("_", "-")] = ast.get_docstring(node).splitlines()[0]
    assert lines == main.COMMANDS
    assert list(main.COMMANDS)[:4] == ["train", "cache", "doctor", "distill"]


def test_help_imports_no_command(monkeypatch):
    monkeypatch.setattr(main, "load_command", lambda name: pytest.fail(f"{name} was imported"))
    assert run("--help").exit_code == 0


def test_version():
    result = run("--version")
    assert (result.exit_code, result.output) == (0, f"keras-hkd {keras_hkd.__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Usage"),
        (["distil"], "Did you mean 'distill'?"),
        (["--verbos"], "No such option"),
    ],
)
def test_wrong_usage_ends_with_2(arguments, said):
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.output


def test_a_command_is_made_from_its_signature(command_source):
    docstring = "'Say it.\\n\\n    Again and\\n    again.'"
    command_source(f"def command(times: int = 2):\n    {docstring}\n    print('said', times)\n")
    assert run("score", "--times", "3").output == "said 3\n"
    wrong = run("score", "--times", "often")
    assert wrong.exit_code == 2
    assert "--times" in wrong.output
    said = run("score", "--help").output
    assert "Say it." in said and "Again and again." in said


def test_a_command_that_fails_ends_with_1(command_source):
    command_source("def command():\n    raise RuntimeError('out of luck')\n")
    result = run("score")
    assert result.exit_code == 1
    assert "The run failed: RuntimeError: out of luck" in result.stderr
    assert result.stdout == ""


def test_a_command_that_refuses_its_input_ends_with_2(command_source):
    source = "from keras_hkd.errors import InvalidValueError\n\n"
    source += "def command():\n    raise InvalidValueError('box 3 has no area')\n"
    command_source(source)
    result = run("score")
    assert result.exit_code == 2
    assert "Bad input: box 3 has no area" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_interrupted_command_ends_with_1(command_source):
    command_source("def command():\n    raise KeyboardInterrupt\n")
    result = run("score")
    assert result.exit_code == 1
    assert "Interrupted" in result.stderr and "--resume" in result.stderr


def test_main_leaves_with_the_exit_code(capsys):
    with pytest.raises(SystemExit) as left:
        main.main(["--version"])
    assert left.value.code == 0
    with pytest.raises(SystemExit) as left:
        main.main(["no-such-command"])
    assert left.value.code == 2


@pytest.mark.own_process
def test_the_installed_program_answers():
    program = pathlib.Path(sys.executable).with_name("keras-hkd")
    if not program.exists():
        pytest.skip("keras-hkd is not installed beside this Python")
    done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"keras-hkd {keras_hkd.__version__}\n")
