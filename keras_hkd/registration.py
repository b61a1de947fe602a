"""Which module of ours registers a class with Keras, found without importing any of them."""

from __future__ import annotations

import functools
import importlib
import pathlib
import re

PREFIX = f"{__package__}>"
_REGISTERED = re.compile(
    rf'^@keras\.saving\.register_keras_serializable\(package="{__package__}"\)\n'
    r"(?:class|def) (\w+)",
    re.MULTILINE,
)


@functools.cache
def homes() -> dict[str, str]:
    """Gives the module of every class and function that the package registers with Keras.

    The sources are read, not imported, so that a new file needs no entry in any list.

    Returns:
        dict from a registered name, such as `"keras_hkd>YOLOV8"`, to a module's name.

    Example:
    >>> homes()["keras_hkd>FeatureImitation"]
    'keras_hkd.losses.feature_imitation'
    """
    root = pathlib.Path(__file__).parent
    found = {}
    for file in root.rglob("*.py"):
        module = ".".join((__package__, *file.relative_to(root).with_suffix("").parts))
        for name in _REGISTERED.findall(file.read_text(encoding="utf-8")):
            found[PREFIX + name] = module
    return found


def register(names) -> None:
    """Imports the modules that register these names with Keras; others are left alone.

    Args:
        names: registered names.
    """
    for name in names:
        if name in homes():
            importlib.import_module(homes()[name])


def names_in(config: str) -> set[str]:
    """Gives the registered names of ours that stand in the configuration of a saved model.

    Args:
        config: JSON text.

    Example:
    >>> names_in('{"registered_name": "keras_hkd>YOLOV8"}')
    {'keras_hkd>YOLOV8'}
    """
    return set(re.findall(rf'"({PREFIX}\w+)"', config))
