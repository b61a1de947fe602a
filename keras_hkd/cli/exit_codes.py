"""What the process says when it ends: 0 done, 1 the run failed, 2 bad input or usage.

Scripts decide by these codes whether to retry (1) or to mend the call (2), so a fault in our own
code must not pass for the user's. The rule that tells them apart: our code refuses input with an
explicit `raise ValueError(...)` or `raise TypeError(...)`; an error that Python, NumPy or Keras
raises while our code runs is a failure, unless it says that a file is not there, or may not be read
or written.
"""

import contextlib
import dis
import traceback
from collections.abc import Iterator
from types import TracebackType

import typer

from keras_hkd.cli.console import messages

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
_RAISE = dis.opmap["RAISE_VARARGS"]


@contextlib.contextmanager
def reported() -> Iterator[None]:
    """Turn what goes wrong inside into a message on the error stream and an exit code.

    Bad input gets one clear line; a failure gets its traceback as well, for whoever mends it.

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
        _say("Interrupted.", "")
        raise typer.Exit(FAILED) from None
    except Exception as error:
        if _belongs_to_typer(error):
            raise
        if is_bad_input(error):
            _say("Bad input:", _message(error))
            raise typer.Exit(BAD_INPUT) from error
        messages().print("".join(traceback.format_exception(error)), markup=False, soft_wrap=True)
        _say("The run failed:", f"{type(error).__name__}: {_message(error)}")
        raise typer.Exit(FAILED) from error


def is_bad_input(error: BaseException) -> bool:
    """Say whether an error is the user's to mend.

    Args:
        error: a caught exception, with its traceback.

    Returns:
        True for missing or forbidden files, and for a ValueError or TypeError (BadDataError among
        them) that a `raise` statement of keras_hkd made.

    Example:
        >>> is_bad_input(FileNotFoundError("photo.jpg"))
        True
        >>> is_bad_input(ZeroDivisionError())
        False
    """
    if isinstance(error, _FILE_ERRORS):
        return True
    return isinstance(error, ValueError | TypeError) and _raised_on_purpose(error.__traceback__)


def _raised_on_purpose(trace: TracebackType | None) -> bool:
    if trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    module = trace.tb_frame.f_globals.get("__name__", "")
    instruction = trace.tb_frame.f_code.co_code[trace.tb_lasti]
    return module.split(".")[0] == "keras_hkd" and instruction == _RAISE


def _belongs_to_typer(error: Exception) -> bool:
    # Usage errors and Exit carry an exit code; on a closed pipe typer ends without a word.
    return isinstance(error, typer.Abort | BrokenPipeError) or hasattr(error, "exit_code")


def _message(error: BaseException) -> str:
    return "\n".join([str(error) or type(error).__name__, *getattr(error, "__notes__", [])])


def _say(heading: str, message: str) -> None:
    # Soft wrap: a path that is cut at column 80 cannot be searched for or clicked.
    messages().print(heading, style="bold red", end=" ")
    messages().print(message, markup=False, highlight=False, soft_wrap=True)
