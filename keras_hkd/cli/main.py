"""The entry point of `keras-hkd`, which loads only the command that is called.

A command is a file `keras_hkd/cli/<name>.py` with a function `command(...) -> None` that has
typer's annotations, and a number `ORDER`, its place in the list of `--help`. The list is read from
the sources: importing the commands would take seconds.
"""

import importlib
import inspect
import os
import re
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import keras_hkd
from keras_hkd import cli
from keras_hkd.cli import exit_codes
from keras_hkd.sources import texts

_COMMAND = re.compile(
    r'^ORDER = (\d+)$.*?^def command\(.*?\) -> None:\n    """(.*?)(?:\n|""")',
    re.MULTILINE | re.DOTALL,
)


def _commands() -> dict[str, str]:
    """Read each command's name, place and line of help from its file, without importing it."""
    found = []
    for module, text in texts(cli.__name__, list(cli.__path__), "*.py"):
        if match := _COMMAND.search(text):
            name = module.rpartition(".")[2].replace("_", "-")
            found.append((int(match[1]), name, match[2]))
    return {name: line for _, name, line in sorted(found)}


COMMANDS = _commands()
"""Name of a command -> the line that `--help` shows of it, in the order of `--help`."""

EPILOG = "Exit codes: 0 done, 1 the run failed, 2 bad input or usage."


class LazyCommands(TyperGroup):
    """Lists commands; imports the module of one only to run it or to show its help."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, _, rest = super().resolve_command(ctx, args)
        return name, load_command(str(name)), rest

    def invoke(self, ctx: Any) -> Any:
        with exit_codes.reported():
            return super().invoke(ctx)


def load_command(name: str) -> Any:
    """Import one command's module and make its typer command.

    Args:
        name: a key of `COMMANDS`.

    Returns:
        What typer runs: the command built from the signature of the module's `command` function.

    Example:

    >>> load_command("score").name
    'score'
    """
    module = importlib.import_module(f"keras_hkd.cli.{name.replace('-', '_')}")
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(name, help=_unwrapped(module.command), epilog=EPILOG)(module.command)
    return typer.main.get_command(app)


def _unwrapped(function: Any) -> str:
    """Return a docstring with each paragraph on one line, which is wrapped where it is shown."""
    paragraphs = (inspect.getdoc(function) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split("\n")) for paragraph in paragraphs)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"keras-hkd {keras_hkd.__version__}")
        raise typer.Exit(exit_codes.DONE)


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and stop.", is_eager=True, callback=_show_version
        ),
    ] = False,
) -> None:
    """Distil heavy pedestrian detectors into compact ones, and measure the result."""


def _placeholder() -> None:
    """Stand in the list of commands; `LazyCommands` puts the real command in its place."""


def make_app() -> typer.Typer:
    """Make the typer application: every command by name and one line of help, none imported.

    Example:

    >>> [command.name for command in make_app().registered_commands][:4]
    ['train', 'cache', 'doctor', 'distill']
    """
    app = typer.Typer(
        cls=LazyCommands,
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        epilog=EPILOG,
    )
    app.callback()(_root)
    for name, line in COMMANDS.items():
        app.command(name, help=line)(_placeholder)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `keras-hkd` and leave the process with one of the three exit codes.

    Args:
        arguments: the words after the program's name; those of the process by default.

    Raises:
        SystemExit: always, with the exit code.

    Example:

    >>> main(["--version"])
    Traceback (most recent call last):
    SystemExit: 0
    """
    # TensorFlow's own remarks on the machine would stand between the lines of a command.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        make_app()(args=arguments, prog_name="keras-hkd")
    except KeyboardInterrupt:
        raise SystemExit(exit_codes.FAILED) from None
