import builtins
import json

import numpy as np
import pytest
import typer

from keras_hkd.cli import exit_codes


def run_as(module: str, source: str) -> BaseException:
    """Run code as if it stood in the named module and give back the exception that it raises."""
    try:
        exec(compile(source, module, "exec"), {"__name__": module, "np": np, "json": json})
    except Exception as error:
        return error
    raise AssertionError("the code raised nothing")


@pytest.mark.parametrize(
    "source",
    [
        "raise ValueError('the box has no area')",
        "raise TypeError('epochs must be a number')",
        "class BadDataError(ValueError): pass\nraise BadDataError('record 3')",
        "try:\n    json.loads('{')\nexcept ValueError as e:\n    raise ValueError('x') from e",
        "def check():\n    raise ValueError('deep')\ncheck()",
        "open('/no/such/file')",
        "open('/')",
    ],
)
def test_what_our_code_refuses_is_bad_input(source):
    assert exit_codes.is_bad_input(run_as("keras_hkd.data.formats.coco", source))


@pytest.mark.parametrize(
    "source",
    [
        "len(3)",
        "int('x')",
        "(lambda a: a)()",
        "np.zeros(3) + np.zeros(4)",
        "json.loads('{')",
        "{}['key']",
        "raise RuntimeError('the loss is not a number')",
        "raise OSError('no space left')",
    ],
)
def test_faults_that_surface_in_our_code_are_failures(source):
    assert not exit_codes.is_bad_input(run_as("keras_hkd.data.formats.coco", source))


@pytest.mark.parametrize("module", ["keras.src.models", "keras_hkd_plugin.main"])
def test_a_value_error_of_another_library_is_a_failure(module):
    assert not exit_codes.is_bad_input(run_as(module, "raise ValueError('shapes')"))


def test_an_error_that_was_never_raised_is_no_bad_input():
    assert not exit_codes.is_bad_input(ValueError("made, not raised"))


def test_nothing_happens_without_an_error():
    with exit_codes.reported():
        done = True
    assert done


def test_a_failure_shows_its_traceback(capsys):
    with pytest.raises(typer.Exit) as left, exit_codes.reported():
        raise builtins.RuntimeError("[brackets] are text, not markup")
    said = capsys.readouterr()
    assert left.value.exit_code == 1
    assert said.out == ""
    assert "Traceback" in said.err
    assert said.err.endswith("The run failed: RuntimeError: [brackets] are text, not markup\n")


def test_bad_input_is_said_whole_and_unbroken(capsys):
    path = "/" + "very-long-folder/" * 20 + "[photo].jpg"
    with pytest.raises(typer.Exit) as left, exit_codes.reported():
        error = FileNotFoundError(2, "No such file", path)
        error.add_note("It is record 7.")
        raise error
    said = capsys.readouterr().err
    assert left.value.exit_code == 2
    assert path in said
    assert "It is record 7." in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "error", [typer.Exit(0), typer.Abort(), typer.BadParameter("no"), BrokenPipeError()]
)
def test_typers_own_exceptions_pass(error, capsys):
    with pytest.raises(type(error)) as passed, exit_codes.reported():
        raise error
    assert passed.value is error
    assert capsys.readouterr().err == ""
