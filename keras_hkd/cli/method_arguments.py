"""Reads `--method` and its options, checks them, and builds the Distiller."""

import contextlib
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer
import yaml

from keras_hkd.errors import InvalidValueError
from keras_hkd.methods.registry import METHODS, described


def names_where(takes: Callable[[Any], bool]) -> str:
    """Name the methods of which something holds, for messages and help.

    Args:
        takes: function of a `Method` of the registry.

    Example:

    >>> names_where(lambda method: method.unlabelled)
    'sad'
    """
    return ", ".join(name for name in sorted(METHODS) if takes(METHODS[name]))


def reads_cache(takes: Any) -> bool:
    """Tell whether a stored teacher can stand for that of a method, a `Method` of the registry."""
    return takes.teacher == "frozen" and not takes.prepare and not takes.unlabelled


def takes_several(takes: Any) -> bool:
    """Tell whether a method, a `Method` of the registry, takes several teachers."""
    return bool(takes.several_teachers)


Method = Annotated[
    str,
    typer.Option("--method", help=f"How knowledge is transferred: {', '.join(sorted(METHODS))}."),
]
MethodOption = Annotated[
    list[str] | None,
    typer.Option(
        "--method-option",
        metavar="NAME=VALUE",
        help="An option of the method, such as a weight of a term. May be repeated.",
        show_default=False,
    ),
]


def parse_options(texts: list[str]) -> dict[str, object]:
    """Read `NAME=VALUE` options; the value is YAML, so that 3 is a number and [P3, P4] a list.

    Args:
        texts: the words NAME=VALUE as given on the command line.

    Raises:
        ValueError: for a text without a name and a value, or a value that is not YAML.

    Example:

    >>> parse_options(["region-weight=10", "levels=[P3, P4]"])
    {'region_weight': 10, 'levels': ['P3', 'P4']}
    """
    parsed = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise InvalidValueError(f"`--method-option` must be NAME=VALUE. Received: {text!r}")
        parsed[name.replace("-", "_")] = _value(name, value)
    return parsed


def _value(name: str, text: str) -> Any:
    with contextlib.suppress(ValueError):
        return float(text) if "e" in text.lower() else int(text)  # YAML takes 1e-3 for a text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidValueError(
            f"The value of `--method-option` {name} must be YAML. Received: {text!r}"
        ) from error


def check_teachers(
    method: str, teacher: Any, more_teachers: Any = (), teacher_cache: Any = None
) -> None:
    """Refuse, before anything is loaded, a teacher that the method cannot use, or its absence.

    Args:
        method: name of the method.
        teacher: name or file, or None.
        more_teachers: those of `--teacher` repeated.
        teacher_cache: folder of a stored teacher, or None.

    Raises:
        ValueError: for what does not go with the method.
    """
    takes = described(method)
    if teacher_cache is not None:
        _check_cache_fits(method, takes, teacher)
    elif teacher is None and takes.teacher:
        raise InvalidValueError(f"The method {method!r} needs --teacher. Received: none")
    if teacher is not None and not takes.teacher:
        raise InvalidValueError(
            f"The method {method!r} has no teacher to load: leave out --teacher. "
            f"Received: --teacher {teacher}"
        )
    if more_teachers and not takes.several_teachers:
        raise InvalidValueError(
            f"Several teachers go with --method {names_where(takes_several)}. "
            f"Received: --method {method} and {len(more_teachers) + 1} times --teacher."
        )


def check_unlabelled(method: str, unlabelled: Any, pseudo_label_score: Any) -> None:
    """Refuse, before anything is loaded, unlabelled images for a method without use for them.

    Args:
        method: name of the method.
        unlabelled: what `--unlabelled` gave, or None.
        pseudo_label_score: what `--pseudo-label-score` gave, or None.

    Raises:
        ValueError: for what does not go with the method.
    """
    takes = described(method)
    if takes.unlabelled and not unlabelled:
        raise InvalidValueError(
            f"The method {method!r} needs --unlabelled, a folder of images that the teacher is to "
            "label. Received: none"
        )
    if not takes.unlabelled and (unlabelled or pseudo_label_score is not None):
        names = names_where(lambda method: method.unlabelled)
        option = "--unlabelled" if unlabelled else "--pseudo-label-score"
        raise InvalidValueError(
            f"{option} goes with --method {names}. Received: --method {method}, which takes no "
            "unlabelled images."
        )


def make_distiller(
    method: str, teacher: Any, student: Any, method_options: Mapping[str, Any]
) -> tuple[Any, Any]:
    """Build the Distiller of a method, and the function that trains its teacher first, or None.

    Raises:
        ValueError: the method has no such option.
    """
    from keras_hkd import methods

    try:
        teacher, train, options = methods.prepared(method, teacher, method_options)
        pair = (student,) if teacher is None else (teacher, student)
        return methods.get(method)(*pair, **options), train
    except (TypeError, ValueError) as error:
        if "keyword argument" not in str(error):  # as Python and Keras call them
            raise
        raise InvalidValueError(
            f"The method {method!r} has no such option. "
            f"Received: --method-option {method_options}. {error}"
        ) from error


def _check_cache_fits(method: str | None, takes: Any, teacher: Any) -> None:
    """Refuse a cache where the teacher itself is needed, or is given too."""
    if teacher is not None:
        raise InvalidValueError(
            "--teacher-cache takes the place of --teacher: give one of them. Received: both"
        )
    if not reads_cache(takes):
        raise InvalidValueError(
            f"The method {method!r} runs its teacher itself, or has none, so that a stored one is "
            f"of no use. Methods that read a cache: {names_where(reads_cache)}. "
            f"Received: --method {method} and --teacher-cache"
        )
