"""The table of the doctor's checks, read from the sources of `keras_hkd/doctor/checks`."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any, NamedTuple

from keras_hkd.errors import InvalidTypeError, InvalidValueError
from keras_hkd.messages import did_you_mean
from keras_hkd.sources import decorated


class Check(NamedTuple):
    """Where a check lives and what it needs.

    Attributes:
        module: the module.
        function: its function `(case)`, which returns a `Finding`, a list of them, or None where
            it does not apply.
        order: place among the checks; what explains later findings comes first.
        cheap: whether it runs no model and decodes a few images at most, so that `keras-hkd
            distill` can afford it at the start of every training.
        needs: attributes of the `Case` without which it does not apply: `"teacher"`, a teacher that
            runs; `"teacher_cache"`; `"test"`.
    """

    module: str
    function: str
    order: int
    cheap: bool = False
    needs: tuple[str, ...] = ()

    def load(self) -> Callable[[Any], Any]:
        """Import the function."""
        return getattr(importlib.import_module(self.module), self.function)


def check(**facts: Any) -> Callable:
    """Declare a function as a check of the doctor, as a decorator.

    Args:
        **facts: attributes of `Check`, `order` always among them, as literals.

    Raises:
        TypeError: there is no such attribute, or `order` is missing.

    Example:

    >>> @check(order=5, cheap=True)
    ... def number_of_images(case):
    ...     return ok(f"There are {len(case.dataset)} images.")
    """
    unknown = set(facts) - set(Check._fields)
    if unknown or "order" not in facts:
        raise InvalidTypeError(
            f"A check declares {Check._fields[2:]}, `order` always. Received: {sorted(facts)}"
        )
    return lambda function: function


def _declared() -> dict[str, Check]:
    folder = os.path.join(os.path.dirname(__file__), "checks")
    found = decorated(f"{__package__}.checks", [folder], "check", "*.py")
    checks = {name: Check(module, name, **facts) for name, (module, facts) in found.items()}
    return dict(sorted(checks.items(), key=lambda item: (item[1].order, item[0])))


CHECKS = _declared()
"""Name of a check -> its `Check`, in the order in which they run."""


def chosen(names: Any = None) -> dict[str, Check]:
    """Return some checks in their order.

    Args:
        names: names of the checks; all if None.

    Raises:
        ValueError: there is no check of a name.

    Example:

    >>> list(chosen(["class_names"]))
    ['class_names']
    """
    for name in names or ():
        if name not in CHECKS:
            raise InvalidValueError(
                f"The doctor has no check {name!r}.{did_you_mean(name, CHECKS)} Checks: "
                f"{', '.join(CHECKS)}. Received: {name!r}"
            )
    return {name: one for name, one in CHECKS.items() if names is None or name in names}
