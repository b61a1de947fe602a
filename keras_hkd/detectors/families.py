"""What the folders of detector families declare: their builders, and the models that they adapt.

A family is one folder of this package. Its modules list public names in `__all__` and decorate
their builders and adapters; all of that is read from the sources, so that a family is known without
being imported, and without a list of families.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from keras_hkd.sources import decorated

if TYPE_CHECKING:
    from keras_hkd.detectors.detector import Detector


class Builder(NamedTuple):
    """Where a named detector is built.

    Attributes:
        module: name of the module.
        function: its function `(**options)`, which gives a `Detector` of random weights.
        about: one line about the detector.
    """

    module: str
    function: str
    about: str


def builder(*, about: str, name: str | None = None) -> Callable:
    """Declare a function as the builder of a named detector, as a decorator.

    The function takes the options of a `Detector` as keywords, `class_names`, `image_size` and
    `name` always among them, and gives the detector with random weights. One that has an argument
    `backbone_weights` can start from the weights of a backbone.

    Args:
        about: one line about the detector, a literal.
        name: name of the detector, a literal; that of the function by default.
    """
    return lambda function: function


def adapter(*, library_models: Sequence[str]) -> Callable:
    """Declare a `Detector` as the adapter of a library's models, as a decorator.

    Args:
        library_models: classes of libraries, such as `("keras_cv.RetinaNet",)`: the name of the
            library, a dot and the name of the class; a literal.
    """
    return lambda family: family


def _declared(decorator: str) -> dict[str, tuple[str, dict]]:
    return decorated(__package__, [os.path.dirname(__file__)], decorator, "*/*.py")


BUILDERS = {
    facts.get("name", function): Builder(module, function, facts["about"])
    for function, (module, facts) in _declared("builder").items()
}
"""Name of a detector -> its `Builder`."""

ADAPTERS = {
    model: (module, name)
    for name, (module, facts) in _declared("adapter").items()
    for model in facts["library_models"]
}
"""Class of a library, such as `"keras_cv.RetinaNet"` -> module and name of what adapts it."""


def adapter_of(model: object) -> type[Detector] | None:
    """Return the class that adapts a library's detector, or None.

    Args:
        model: anything; nothing is imported unless it is of a library that is adapted.
    """
    for base in type(model).__mro__:
        library = base.__module__.partition(".")[0]
        found = ADAPTERS.get(f"{library}.{base.__name__}")
        if found is not None:
            module, name = found
            return getattr(importlib.import_module(module), name)
    return None


def is_of_adapted_library(model: object) -> bool:
    """Tell whether a model comes from a library whose detectors are adapted.

    Args:
        model: anything.
    """
    libraries = {name.partition(".")[0] for name in ADAPTERS}
    return any(base.__module__.partition(".")[0] in libraries for base in type(model).__mro__)
