"""Matches the categories of a file with the classes that are asked for, by their names."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from keras_hkd.errors import InvalidValueError
from keras_hkd.messages import did_you_mean, first_of

PEOPLE = ("person", "persons", "pedestrian", "pedestrians", "people", "human", "humans")
PERSON = "person"


def canonical(name: str) -> str:
    """Give the form in which class names are compared: all words for people are one class.

    Args:
        name: a name as a file or a user wrote it.

    Example:

    >>> canonical(" Pedestrians"), canonical("HUMAN"), canonical("Traffic_Light")
    ('person', 'person', 'traffic light')
    """
    words = " ".join(str(name).replace("_", " ").casefold().split())
    return PERSON if words in PEOPLE else words


@dataclasses.dataclass(frozen=True)
class WantedClass:
    """A class that is asked for, and the names under which files may have it.

    Args:
        name: what the dataset calls it.
        accepted: canonical names, or ids, that count as it.
    """

    name: str
    accepted: tuple[str, ...]


def wanted_classes(
    class_names: str | Sequence[str] | Mapping[str, Sequence[str]],
) -> tuple[WantedClass, ...]:
    """Read what classes are asked for.

    Args:
        class_names: names; each "NAME", "NAME,NAME" for several that count as one class, or
            "CLASS=NAME,NAME" to say what the class is called. Or a mapping from what a class is
            called to its names. A NAME may also be the id of a category.

    Raises:
        ValueError: no class, or one name for two classes.

    Example:

    >>> wanted_classes("Walker,rider")[0]
    WantedClass(name='Walker', accepted=('walker', 'rider'))
    >>> wanted_classes(["person=Walker", "car"])[0]
    WantedClass(name='person', accepted=('walker',))
    """
    if isinstance(class_names, Mapping):
        given = [
            (name, [names] if isinstance(names, str) else names)
            for name, names in class_names.items()
        ]
    else:
        texts = [class_names] if isinstance(class_names, str) else class_names
        given = [_parsed(text) for text in texts]
    wanted = tuple(
        WantedClass(str(name), tuple(dict.fromkeys(canonical(one) for one in names)))
        for name, names in given
    )
    accepted = [name for one in wanted for name in one.accepted]
    names = [one.name for one in wanted]
    if (
        not wanted
        or "" in accepted
        or len({*accepted}) < len(accepted)
        or len({*names}) < len(names)
    ):
        raise InvalidValueError(
            "`class_names` must be one or more different classes (all words for people are one "
            f"class), each as NAME, as NAME,NAME or as CLASS=NAME,NAME. Received: {class_names!r}"
        )
    return wanted


def _parsed(text: str) -> tuple[str, list[str]]:
    head, equals, tail = str(text).partition("=")
    names = [name.strip() for name in (tail if equals else head).split(",")]
    if equals:
        return head.strip(), names
    people = any(canonical(name) == PERSON for name in names)
    return (PERSON if people and len(names) > 1 else names[0]), names


@dataclasses.dataclass(frozen=True)
class ResolvedClasses:
    """The wanted classes as one source has them.

    Args:
        names: what the dataset calls its classes.
        index: category of the source -> index of the class.
        keys: for each class the categories of the source that are it; the first owns most boxes.
    """

    names: tuple[str, ...]
    index: Mapping[Any, int]
    keys: tuple[tuple[Any, ...], ...]


class UnknownClassError(InvalidValueError):
    """None of the categories of a source is a class that is wanted."""


def resolve_classes(
    categories: Mapping[Any, str],
    num_boxes: Mapping[Any, int],
    wanted: Sequence[WantedClass] | None,
) -> ResolvedClasses:
    """Find the wanted classes among the categories of a source.

    A class takes all categories of its names. Where two of them have one name and only one owns
    boxes, as where an export repeats the name of a group, that one stands for the class.

    Args:
        categories: category, such as its id -> its name.
        num_boxes: category -> how many boxes it owns.
        wanted: what is asked for; None for every category, those of one name together.

    Raises:
        UnknownClassError: none of them is there.

    Example:

    >>> found = resolve_classes({0: "people", 1: "Pedestrian", 2: "car"}, {1: 9, 2: 4},
    ...                         wanted_classes("person"))
    >>> found.index, found.keys
    ({1: 0, 0: 0}, ((1, 0),))
    """
    if wanted is None:
        together: dict[str, list[Any]] = {}
        for key, name in categories.items():
            together.setdefault(" ".join(name.casefold().split()), []).append(key)
        found = [(categories[keys[0]], keys) for keys in together.values()]
    else:
        found = [(one.name, _matching(one, categories)) for one in wanted]
        if categories and not any(keys for _, keys in found):
            raise UnknownClassError(_unknown(wanted, categories, num_boxes))
    keys = tuple(
        tuple(sorted(of_class, key=lambda key: -num_boxes.get(key, 0))) for _, of_class in found
    )
    index = {key: number for number, of_class in enumerate(keys) for key in of_class}
    return ResolvedClasses(tuple(name for name, _ in found), index, keys)


def _matching(one: WantedClass, categories: Mapping[Any, str]) -> list[Any]:
    by_name = [key for key, name in categories.items() if canonical(name) in one.accepted]
    known = {canonical(name) for name in categories.values()}
    by_id = [key for key in categories if str(key) in one.accepted and str(key) not in known]
    return by_name + [key for key in by_id if key not in by_name]


def _unknown(
    wanted: Sequence[WantedClass], categories: Mapping[Any, str], num_boxes: Mapping[Any, int]
) -> str:
    asked = ", ".join(name for one in wanted for name in one.accepted)
    names = [name for name in categories.values()]
    owned = sorted(categories, key=lambda key: -num_boxes.get(key, 0))
    there = [f"{categories[key]} ({num_boxes.get(key, 0)} boxes)" for key in owned]
    hint = did_you_mean(asked.split(", ")[0], names)
    return (
        f"expected a class called {asked}:{hint} choose by --class NAME (class_names in Python); "
        f"--class person=NAME,NAME makes several the person. Received: only {first_of(there, 20)}"
    )
