"""What the folders of detector families declare: their builders, and the models that they adapt.

A family is one folder of this package. Its modules list public names in `__all__` and decorate
their builders and adapters; all of that is read from the sources, so that a family is known without
being imported, and without a list of families. A builder takes the options of a `Detector` as
keywords, `class_names`, `image_size` and `name` always among them, and returns the detector with
random weights; see `keras_hkd.named_builders.builder`.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from keras_hkd.named_builders import builders_of
from keras_hkd.sources import decorated

if TYPE_CHECKING:
    from keras_hkd.detectors.detector import Detector


def adapter(*, library_models: Sequence[str]) -> Callable:
    """Declare a `Detector` as the adapter of a library's models, as a decorator.

    Args:
        library_models: classes of libraries, such as `("keras_cv.RetinaNet",)`: the name of the
            library, a dot and the name of the class; a literal.
    """
    return lambda family: family


BUILDERS = builders_of(__package__, os.path.dirname(__file__), "*/*.py")
"""Name of a detector -> its `Builder`."""

_adapters = decorated(__package__, [os.path.dirname(__file__)], "adapter", "*/*.py")
ADAPTERS = {
    model: (module, name)
    for name, (module, facts) in _adapters.items()
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
