"""`--config run.yaml`: a run's options in a file, with the flags of the command line on top."""

import pathlib
from typing import Any

import typer
import yaml

from keras_hkd.messages import did_you_mean

# Options that are about this call and not about the run, so a file has no say in them.
_NOT_IN_FILES = ("config", "help")


def apply_config(ctx: typer.Context, path: pathlib.Path | None) -> pathlib.Path | None:
    """Make a file's values the defaults of the command that is being called (a typer callback).

    The keys are the long names of the command's options or its arguments' names, `batch-size` and
    `batch_size` alike. Values are checked as if they had been typed; relative paths count from the
    current folder, as they do on the command line. A flag on the command line wins.

    Args:
        ctx: the command's context; its `default_map` is set.
        path: the file (YAML, or JSON, which is YAML too), or None.

    Returns:
        `path`, unchanged.

    Raises:
        typer.BadParameter: for an unreadable file, an unknown key (the message names the nearest
            option) or a value of a shape that no option takes.
    """
    if path is not None and not ctx.resilient_parsing:
        options = _options_by_key(ctx)
        values = {}
        for key, value in read_config(path).items():
            option = options.get(str(key).replace("-", "_"))
            if option is None:
                raise typer.BadParameter(_unknown_key_message(path, key, options))
            if value is not None:
                values[option.name] = _as_typed(path, key, value, option)
        ctx.default_map = {**(ctx.default_map or {}), **values}
    return path


def read_config(path: pathlib.Path) -> dict:
    """Read a YAML file that holds one mapping of option names to values.

    Args:
        path: the file; an empty one gives an empty mapping.

    Returns:
        The mapping, as YAML gives it.

    Raises:
        typer.BadParameter: if the file is not there, is not YAML, or does not hold a mapping.

    Example:

    >>> import tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "run.yaml"
    >>> _ = file.write_text("epochs: 12")
    >>> read_config(file)
    {'epochs': 12}
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise typer.BadParameter(f"cannot read {path}: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path} is not a YAML file: {error}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise typer.BadParameter(
            f"{path} must hold option names and values, such as `epochs: 12`. "
            f"Received: {type(values).__name__}."
        )
    return values


def _options_by_key(ctx: typer.Context) -> dict:
    options = {}
    for param in ctx.command.params:
        if param.name not in _NOT_IN_FILES:
            names = [name for name in param.opts if name.startswith("--")] or [param.name]
            options.update({name.lstrip("-").replace("-", "_"): param for name in names})
    return options


def _unknown_key_message(path: pathlib.Path, key: object, options: dict) -> str:
    hint = did_you_mean(str(key).replace("-", "_"), options)
    hint = hint or f" Known keys: {', '.join(options)}."
    return f"{path} has the unknown key {key!r}.{hint}"


def _as_typed(path: pathlib.Path, key: object, value: object, option: Any) -> object:
    """Bring a value to the form in which the command line would have given it: text, or texts."""
    repeatable = getattr(option, "multiple", False) or option.nargs != 1
    items = value if isinstance(value, list) else [value]
    if (isinstance(value, list) and not repeatable) or any(
        isinstance(item, dict | list) or item is None for item in items
    ):
        expected = "a value or a list of values" if repeatable else "one value"
        raise typer.BadParameter(f"{path}: {key!r} takes {expected}. Received: {value!r}.")
    if repeatable:
        return [str(item) for item in items]
    if getattr(option, "is_flag", False):
        return _as_switch(path, key, value)
    return str(value)


def _as_switch(path: pathlib.Path, key: object, value: object) -> bool:
    if not isinstance(value, bool):
        raise typer.BadParameter(f"{path}: {key!r} takes true or false. Received: {value!r}.")
    return value
