import builtins

import pytest
import typer

from keras_hkd import errors
from keras_hkd.cli import exit_codes
from keras_hkd.data import BadDataError


@pytest.mark.parametrize(
    "error",
    [
        errors.UserError("mend this"),
        errors.InvalidValueError("the box has no area"),
        errors.InvalidTypeError("epochs must be a number"),
        errors.MissingPackageError("install tf2onnx"),
        errors.OutOfMemoryError("take a smaller image size"),
        BadDataError("boxes.json", "record 3", "no area"),
        FileNotFoundError(2, "No such file", "/no/such/file"),
        IsADirectoryError(21, "Is a directory", "/"),
    ],
)
def test_what_the_user_can_mend_is_bad_input(error):
    assert exit_codes.is_bad_input(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("shapes do not fit"),
        TypeError("object of type 'int' has no len()"),
        KeyError("key"),
        OSError(28, "No space left on device"),
        RuntimeError("the loss is not a number"),
        errors.RunFailedError("the loss is not a number"),
    ],
)
def test_other_errors_are_failures(error):
    assert not exit_codes.is_bad_input(error)


def test_a_run_that_failed_for_a_stated_reason_shows_no_traceback(capsys):
    with pytest.raises(typer.Exit) as left, exit_codes.reported():
        raise errors.RunFailedError("The loss is nan at step 3. Lower the learning rate.")
    assert left.value.exit_code == 1
    said = capsys.readouterr()
    assert said.err == "The run failed: The loss is nan at step 3. Lower the learning rate.\n"


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
