"""Public names that load their module at first use (PEP 562): importing a package stays cheap."""

import importlib
import sys
from collections.abc import Callable, Mapping


def attach(
    module_name: str, names: Mapping[str, str | None]
) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """Make the three attributes by which a package offers names without importing where they live.

    Importing TensorFlow, Keras and KerasCV takes many seconds. A package that lists its public
    names here pays for them only when one is used, and `dir()`, tab completion and
    `from package import *` still see the whole list.

    Args:
        module_name: the package's own `__name__`.
        names: public name -> the submodule that defines it, relative to the package or, beginning
            with the name of the top package, absolute. `None` as submodule means that the name is
            itself a submodule (or sub-package).

    Returns:
        `(__getattr__, __dir__, __all__)`, to be assigned at the top of the package's `__init__.py`.

    Raises:
        ValueError: if a name equals the submodule that defines it: importing the submodule would
            put the module where the name belongs, so what a user gets would depend on import order.

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
    for name, submodule in names.items():
        if name == submodule:
            raise ValueError(
                f"attach({module_name!r}): the public name {name!r} equals the submodule that "
                "defines it, so the module would hide the object once imported. Give the "
                f"submodule another name, or map {name!r} to None to make the module itself public."
            )

    top = f"{module_name.partition('.')[0]}."

    def load(name: str) -> object:
        if name not in names:
            raise AttributeError(_unknown_name_message(module_name, name, names), name=name)
        submodule = names[name]
        path = submodule or name
        if not path.startswith(top):
            path = f"{module_name}.{path}"
        module = importlib.import_module(path)
        value = module if submodule is None else getattr(module, name)
        setattr(sys.modules[module_name], name, value)
        return value

    def listing() -> list[str]:
        return sorted({*vars(sys.modules[module_name]), *names})

    return load, listing, sorted(names)


def _unknown_name_message(module_name: str, name: str, names: Mapping[str, str | None]) -> str:
    import difflib

    message = f"module {module_name!r} has no attribute {name!r}"
    nearest = difflib.get_close_matches(name, names, n=1)
    return f"{message}. Did you mean: {nearest[0]!r}?" if nearest else message
