"""The entry point of `keras-hkd`, which loads only the command that is called.

Each command lives in `keras_hkd/cli/<name>.py` as a function `command(...)` with typer's
annotations. Listing them here as data keeps `keras-hkd --help` at a fraction of a second.
"""

import importlib
import os
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import keras_hkd
from keras_hkd.cli import exit_codes

COMMANDS = {
    "train": "Train a detector or a classifier alone, or fine-tune a saved one.",
    "cache": "Store what a teacher says about images, for training without it.",
    "doctor": "Check a teacher, a student and their images before a training.",
    "distill": "Distil a heavy model (the teacher) into a compact one (the student).",
    "report": "Write one HTML page about runs: gains, curves, costs, what is still missed.",
    "evaluate": "Measure a detector or a classifier on labelled images.",
    "detect": "Find people in images: pictures with boxes, and COCO results JSON.",
    "presets": "List the detectors that come with the package, or show the card of one.",
    "export": "Write a detector as TFLite, ONNX or SavedModel, checked against Keras.",
    "compare": "Compare two detectors: AP, MR-2, boxes, scores, size, latency.",
    "import-rtmdet": "Read an ONNX export of RTMDet into a detector that can be trained.",
    "benchmark": "Time detectors on this machine: Keras and TFLite, in every precision.",
    "check": "Look for faults in labelled images: odd boxes, duplicates, sizes.",
    "convert": "Write labelled images of any known format as clean COCO JSON.",
    "score": "Score a detections file against a ground-truth file; needs no model.",
}

EPILOG = "Exit codes: 0 done, 1 the run failed, 2 bad input or usage."


class LazyCommands(TyperGroup):
    """Lists commands from data; imports a command's module only to run it or to show its help."""

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
    app.command(name, epilog=EPILOG)(module.command)
    return typer.main.get_command(app)


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
