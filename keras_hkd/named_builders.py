"""Declares the functions that build a model by name, and reads the table of them.

The table is read from the sources, so that names are known without importing TensorFlow and Keras,
and a new model needs no entry in a list.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from keras_hkd.errors import InvalidValueError, MissingFileError
from keras_hkd.messages import did_you_mean
from keras_hkd.sources import decorated


class Builder(NamedTuple):
    """Where a named model is built.

    Attributes:
        module: name of the module.
        function: name of its function, which returns a model with random weights.
        about: one line about the model.
    """

    module: str
    function: str
    about: str

    def load(self) -> Callable[..., Any]:
        """Import the function."""
        return getattr(importlib.import_module(self.module), self.function)


def builder(*, about: str, name: str | None = None) -> Callable:
    """Declare a function as the builder of a named model, as a decorator.

    One that has an argument `backbone_weights` can start from the weights of a backbone. What else
    it takes and returns is said by `keras_hkd.detectors.families` and
    `keras_hkd.classifiers.catalogue`.

    Args:
        about: one line about the model, a literal.
        name: name of the model, a literal; that of the function by default.
    """
    return lambda function: function


def builders_of(package: str, folder: str, *patterns: str) -> dict[str, Builder]:
    """Return the builders that the modules of a package declare, by the name of their model.

    Args:
        package: the package's `__name__`.
        folder: its folder.
        *patterns: which files, relative to the folder.

    Example:

    >>> import keras_hkd.classifiers
    >>> folder = keras_hkd.classifiers.__path__[0]
    >>> builders_of("keras_hkd.classifiers", folder, "*.py")["cnn_micro"].module
    'keras_hkd.classifiers.builders'
    """
    return {
        str(facts.get("name", function)): Builder(module, function, str(facts["about"]))
        for function, (module, facts) in decorated(package, [folder], "builder", *patterns).items()
    }


def load_builder(
    builders: Mapping[str, Builder],
    name: str,
    kind: str,
    backbone_weights: str | os.PathLike | None = None,
) -> Callable[..., Any]:
    """Import the function that builds a named model, with the weights that its backbone is to have.

    Args:
        builders: the table of `builders_of`.
        name: name of the model.
        kind: what the models are, for messages.
        backbone_weights: file of the backbone's weights, or None.

    Raises:
        FileNotFoundError: if the name is that of a file, which is not there.
        ValueError: if the name is unknown, or the backbone takes no weights.
    """
    if isinstance(name, str) and (os.path.dirname(name) or name.endswith(".keras")):
        raise MissingFileError(f"{name}: there is no such file; expected a {kind}'s .keras file.")
    if name not in builders:
        hint = did_you_mean(name, builders, most=3, cutoff=0.4)
        raise InvalidValueError(
            f"No {kind} is called {name!r}.{hint} Names: {', '.join(builders)}; "
            f"a saved {kind} is given by its .keras path. Received: {name!r}"
        )
    function = builders[name].load()
    if backbone_weights is None:
        return function
    if "backbone_weights" not in inspect.signature(function).parameters:
        raise InvalidValueError(
            f"'{name}' has no MobileNetV2 backbone, so it takes no `backbone_weights`. "
            f"Received: backbone_weights={backbone_weights!r}"
        )
    return functools.partial(function, backbone_weights=backbone_weights)
