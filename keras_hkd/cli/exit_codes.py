"""Chooses the exit code of a command: 0 done, 1 the run failed, 2 bad input or usage.

Scripts decide by these codes whether to retry (1) or to mend the call (2). What a user can mend is
a `keras_hkd.errors.UserError`, or an error of the operating system that says that a file is not
there, or may not be read or written: its message is shown. Anything else is a fault in the code,
and its traceback is shown as well.
"""

import contextlib
import traceback
from collections.abc import Iterator

import typer

from keras_hkd.cli.console import messages
from keras_hkd.errors import RunFailedError, UserError

DONE = 0
FAILED = 1
BAD_INPUT = 2

_FILE_ERRORS = (
    FileNotFoundError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)


@contextlib.contextmanager
def reported() -> Iterator[None]:
    """Turn what goes wrong inside into a message on the error stream and an exit code.

    What the user can mend gets its message alone; a fault in the code gets its traceback as well.

    Raises:
        typer.Exit: with `BAD_INPUT` or `FAILED`. Typer's own exceptions pass through.

    Example:

    >>> try:
    ...     with reported():
    ...         raise FileNotFoundError("photo.jpg")
    ... except typer.Exit as left:
    ...     left.exit_code
    2
    """
    try:
        yield
    except KeyboardInterrupt:
        _say(
            "Interrupted.",
            "What was written stays; a training goes on by the same command with "
            "--resume, from its last whole epoch.",
        )
        raise typer.Exit(FAILED) from None
    except Exception as error:
        if _belongs_to_typer(error):
            raise
        if is_bad_input(error):
            _say("Bad input:", _message(error))
            raise typer.Exit(BAD_INPUT) from error
        if isinstance(error, RunFailedError):
            _say("The run failed:", _message(error))
        else:
            trace = "".join(traceback.format_exception(error))
            messages().print(trace, markup=False, soft_wrap=True)
            _say("The run failed:", f"{type(error).__name__}: {_message(error)}")
        raise typer.Exit(FAILED) from error


def is_bad_input(error: BaseException) -> bool:
    """Say whether an error is caused by what the user gave.

    Args:
        error: any exception.

    Returns:
        True for a `UserError`, unless it is a `RunFailedError`, and for files that are missing or
        that may not be read or written.

    Example:

    >>> is_bad_input(FileNotFoundError("photo.jpg"))
    True
    >>> is_bad_input(ValueError("a fault in the code"))
    False
    """
    if isinstance(error, UserError):
        return not isinstance(error, RunFailedError)
    return isinstance(error, _FILE_ERRORS)


def _belongs_to_typer(error: Exception) -> bool:
    # Usage errors and Exit carry an exit code; on a closed pipe typer ends without a message.
    return isinstance(error, typer.Abort | BrokenPipeError) or hasattr(error, "exit_code")


def _message(error: BaseException) -> str:
    return "\n".join([str(error) or type(error).__name__, *getattr(error, "__notes__", [])])


def _say(heading: str, message: str) -> None:
    # Soft wrap: a path that is cut at column 80 cannot be searched for or clicked.
    messages().print(heading, style="bold red", end=" ")
    messages().print(message, markup=False, highlight=False, soft_wrap=True)
