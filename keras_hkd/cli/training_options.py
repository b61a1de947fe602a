"""The options that `train` and `distill` share: those of the run, and one for each setting.

`TrainingSettings` defines the settings; name, type, default, limits and help of their options are
made from it.
"""

import dataclasses
import functools
import inspect
import os
import pathlib
import sys
import typing
from collections.abc import Callable
from typing import Annotated, Any

import typer

from keras_hkd.cli import options
from keras_hkd.cli.image_size import ImageSize, parse_image_size, parse_sizes
from keras_hkd.data.batches.cache_mode import CACHE_MODES, checked_mode
from keras_hkd.errors import InvalidValueError
from keras_hkd.training.settings import TrainingSettings

DETERMINISTIC_ENVIRONMENT = {"TF_ENABLE_ONEDNN_OPTS": "0", "TF_DETERMINISTIC_OPS": "1"}

Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with the run in --out, if it holds one.")
]
Quantize = Annotated[
    bool,
    typer.Option(
        "--quantize",
        help="Fine-tune a trained model (.keras) with the rounding of its int8 file, which "
        "`keras-hkd export --quantization int8` writes from it.",
    ),
]
ShowBatches = Annotated[
    bool,
    typer.Option(
        "--show-batches",
        help="Draw the first batches as the model would be given them, with their labels, in "
        "--out/batches.png, and stop before training.",
    ),
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="The same as --cache none.", hidden=True)]
BackboneWeights = Annotated[
    pathlib.Path | None,
    typer.Option(
        "--backbone-weights",
        metavar="FILE",
        help="ImageNet weights for the MobileNetV2 backbone of a model given by name.",
        show_default=False,
    ),
]


def set_deterministic_environment(asked: bool) -> bool:
    """Set what TensorFlow reads only once, while it loads (a typer callback of `--deterministic`).

    Callbacks run before the command's body, and commands import TensorFlow in their body.

    Args:
        asked: whether the option was given.

    Returns:
        `asked`, unchanged.

    Raises:
        typer.BadParameter: if TensorFlow is loaded already without these settings.

    Example:

    >>> set_deterministic_environment(False)
    False
    """
    if asked:
        differs = any(os.environ.get(k) != v for k, v in DETERMINISTIC_ENVIRONMENT.items())
        if differs and "tensorflow" in sys.modules:
            settings = " ".join(f"{k}={v}" for k, v in DETERMINISTIC_ENVIRONMENT.items())
            raise typer.BadParameter(
                "TensorFlow is loaded already and reads its settings only once. "
                f"Start a new process, or set {settings} in the environment of this one."
            )
        os.environ.update(DETERMINISTIC_ENVIRONMENT)
    return asked


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The options that both commands have, as they were given.

    Args:
        asked: setting -> value, as on the command line: an `image_size` of None is the model's own,
            a `validate_every` of None is chosen by the number of epochs, and a number of 0 stands
            for None.
    """

    data: options.Data
    out: options.Out
    asked: dict[str, Any]
    val: options.Val = None
    backbone_weights: BackboneWeights = None
    resume: Resume = False
    no_cache: NoCache = False
    quantize: Quantize = False
    show_batches: ShowBatches = False
    format: options.Format = None
    classes: options.Classes = None
    images: options.ImagesFolder = None
    on_bad_data: options.OnBadData = "raise"
    json: options.Json = False
    config: options.Config = None

    @property
    def image_size(self) -> tuple[int, int] | None:
        """`(height, width)` in pixels, or None where it was not given."""
        return self.asked["image_size"]

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self.asked["seed"]

    @property
    def strategy(self) -> str | None:
        """The strategy, or None."""
        return self.asked["strategy"]

    @property
    def precision(self) -> str:
        """The dtype policy that the models of the run compute in."""
        return (
            f"mixed_{self.asked['half_precision']}" if self.asked["mixed_precision"] else "float32"
        )

    def settings(self, kind: Any) -> TrainingSettings:
        """Give the settings that these options ask for.

        Args:
            kind: `Detectors` or `Classifiers`, for the size of images where none is given.
        """
        values = dict(self.asked)
        if values["image_size"] is None:
            values["image_size"] = kind.default_image_size
        if values["validate_every"] is None:
            values["validate_every"] = max(1, values["epochs"] // 10)
        if self.no_cache:
            values["cache"] = "none"
        for field in _fields():
            if _is_optional_number(field):
                values[field.name] = values[field.name] or None
        return TrainingSettings(**values)

    def load_data(self, kind: Any) -> Any:
        """Read the training images, and those to measure on or None; say what was read.

        Args:
            kind: `Detectors` or `Classifiers`, which says what is read.
        """
        how: dict[str, Any] = {"format": self.format, "on_bad_data": self.on_bad_data}
        how |= {"classes": self.classes, "images": self.images}
        dataset = kind.load_data(self.data, **how)
        val = kind.load_data(self.val, like=dataset, **how) if self.val else None
        return dataset, val


def with_run_options(command: Callable, distils: bool = True) -> Callable:
    """Give a command, in place of its first argument, the options of a run.

    Args:
        command: `command(given, ...)`, `given` being a `RunOptions`; the others are options of its
            own, in typer's form.
        distils: whether it has the settings that only a distillation has.

    Returns:
        A function whose signature typer reads: required options first, then those of the command.

    Example:

    >>> @with_run_options
    ... def command(given, student: Annotated[str, typer.Option("--student")]):
    ...     return given.settings, student
    >>> list(inspect.signature(command).parameters)[:4]
    ['student', 'data', 'out', 'epochs']
    """
    given, *own = inspect.signature(command).parameters.values()
    settings = [
        _parameter(field.name, setting_option(field.name), _default(field))
        for field in _fields()
        if distils or not field.metadata.get("distils")
    ]
    run = [
        _parameter(field.name, field.type, field.default)
        for field in dataclasses.fields(RunOptions)
        if field.name != "asked"
    ]
    asked, of_run = {one.name for one in settings}, {one.name for one in run}

    @functools.wraps(command)
    def filled_in(**values: Any) -> Any:
        chosen = {name: values.pop(name) for name in asked}
        chosen["image_size"] = parse_image_size(chosen["image_size"])
        chosen["sizes"] = parse_sizes(chosen["sizes"])
        if "rebalance_after" in chosen:
            chosen["rebalance_after"] = parse_epochs(chosen["rebalance_after"])
        shared = {name: values.pop(name) for name in of_run}
        return command(RunOptions(asked=chosen, **shared), **values)

    own = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
    parameters = [*own, *run[:2], *settings, *run[2:]]
    parameters.sort(key=lambda one: one.default is not one.empty)
    filled_in.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    filled_in.__annotations__ = {one.name: one.annotation for one in parameters}
    return filled_in


def setting_option(name: str) -> object:
    """Make the typer option of a setting.

    Args:
        name: a field of `TrainingSettings`.

    Returns:
        What annotates an argument of a command.

    Example:

    >>> setting_option("batch_size").__metadata__[0].help
    'Images per batch, over all devices.'
    """
    if name == "image_size":
        return ImageSize
    (field,) = (field for field in _fields() if field.name == name)
    meaning, kind = TrainingSettings.meanings().get(name, ""), field.type
    if _is_optional_number(field):
        meaning, kind = meaning.replace("None for", "0 for"), float
    if name in ("sizes", "rebalance_after"):
        kind = str | None
    more: dict[str, Any] = {"min": field.metadata.get("low"), "max": field.metadata.get("high")}
    if name == "validate_every":
        meaning, kind = f"{meaning} By default about ten measurements in all.", int | None
        more["show_default"] = False
    if name == "sizes":
        more |= {"metavar": "SIZE,SIZE,...", "show_default": False}
    if name == "rebalance_after":
        more |= {"metavar": "EPOCH,EPOCH,...", "show_default": False}
    if name == "shares_every":
        more["show_default"] = False
    if name == "cache":
        kind = str
        more |= {"parser": _cache_mode, "metavar": f"[{'|'.join(CACHE_MODES)}]"}
    if name == "deterministic":
        more["callback"] = set_deterministic_environment
    flag = f"--{name.replace('_', '-')}"
    if field.default is True:
        flag = f"{flag}/--no-{flag[2:]}"
    text = meaning[:1].upper() + meaning[1:]
    return Annotated[kind, typer.Option(flag, help=text, **more)]


def parse_epochs(text: str | None) -> tuple[int, ...] | None:
    """Read numbers of epochs, with commas between them.

    Args:
        text: such as "4,12", or None.

    Raises:
        ValueError: one of them is no whole number.

    Example:

    >>> parse_epochs("4,12")
    (4, 12)
    """
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdigit() for word in words):
        raise InvalidValueError(
            "`--rebalance-after` must be numbers of epochs with commas between them, such as 4,12. "
            f"Received: {text!r}"
        )
    return tuple(int(word) for word in words)


def _cache_mode(word: str) -> str:
    """Check the word; `true` and `false` in files of options of old stand for memory and none."""
    try:
        return checked_mode("--cache", {"true": True, "false": False}.get(str(word).lower(), word))
    except InvalidValueError as error:
        raise typer.BadParameter(str(error)) from error


def _fields() -> tuple[dataclasses.Field, ...]:
    return dataclasses.fields(TrainingSettings)


def _default(field: Any) -> Any:
    """Return the default of an option: None where the command chooses."""
    return None if field.name in ("image_size", "validate_every") else field.default


def _is_optional_number(field: Any) -> bool:
    return set(typing.get_args(field.type)) == {float, type(None)}


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    if default is dataclasses.MISSING:
        default = inspect.Parameter.empty
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default
    )
