"""Loads public names at first use (PEP 562), so that importing a package is cheap."""

import importlib
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any


def attach(
    module_name: str, names: Mapping[str, str | None]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Make the three attributes by which a package offers names without importing where they live.

    Importing TensorFlow, Keras and KerasCV takes many seconds. A package that lists its public
    names here imports them only when one is used; `dir()`, tab completion and
    `from package import *` see the whole list.

    Args:
        module_name: the package's own `__name__`.
        names: public name -> the submodule that defines it, relative to the package or, beginning
            with the name of the top package, absolute. `None` as submodule means that the name is
            itself a submodule (or sub-package).

    Returns:
        `(__getattr__, __dir__, __all__)`, to be assigned at the top of the package's `__init__.py`.

    A name may equal a submodule, as `keras_hkd.methods.hkd` does: the package then always offers
    the object, whether the submodule was imported before or not.

    Example:

    >>> import keras_hkd
    >>> "Distiller" in dir(keras_hkd)
    True
    >>> __getattr__, __dir__, __all__ = attach("json", {"JSONDecoder": "decoder", "scanner": None})
    >>> __all__
    ['JSONDecoder', 'scanner']
    >>> __getattr__("JSONDecoder").__module__
    'json.decoder'
    """
    top = f"{module_name.partition('.')[0]}."

    def path(name: str) -> str:
        submodule = names[name] or name
        return submodule if submodule.startswith(top) else f"{module_name}.{submodule}"

    hiding = {
        name
        for name, submodule in names.items()
        if submodule is not None and f"{path(name)}.".startswith(f"{module_name}.{name}.")
    }
    if hiding:
        sys.modules[module_name].__class__ = _class_of_package(hiding)

    def load(name: str) -> Any:
        if name not in names:
            raise AttributeError(_unknown_name_message(module_name, name, names), name=name)
        value = importlib.import_module(path(name))
        if names[name] is not None:
            value = getattr(value, name)
        if name in hiding and isinstance(value, types.FunctionType):
            setattr(value, name, value)  # `methods.hkd.hkd`, as it was written before, still works
        setattr(sys.modules[module_name], name, value)
        return value

    def listing() -> list[str]:
        special = (name for name in vars(sys.modules[module_name]) if name.startswith("__"))
        return sorted({*special, *names})

    return load, listing, sorted(names)


def _class_of_package(hiding: set[str]) -> type[types.ModuleType]:
    """Make a class of modules in which a submodule does not take the place of these names."""

    class Package(types.ModuleType):
        def __setattr__(self, name: str, value: object) -> None:
            # The import system sets a submodule as an attribute of its package once it is loaded.
            if not (name in hiding and isinstance(value, types.ModuleType)):
                super().__setattr__(name, value)

    return Package


def _unknown_name_message(module_name: str, name: str, names: Mapping[str, str | None]) -> str:
    import difflib

    message = f"module {module_name!r} has no attribute {name!r}"
    nearest = difflib.get_close_matches(name, names, n=1)
    return f"{message}. Did you mean: {nearest[0]!r}?" if nearest else message
