"""Makes saved models loadable by `keras.models.load_model` although the package loads lazily.

Keras finds a class of ours by its registered name, which the class's module registers when it is
imported, and a fresh program has imported no such module. So for every class a placeholder is
registered, as soon as Keras is there: it imports the class at the moment that a saved model asks
for it. Files name their classes by registered names, so a class may move between modules.
"""

from __future__ import annotations

import functools
import importlib
import importlib.abc
import importlib.util
import pathlib
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from keras_hkd.sources import decorated

FORMER_NAMES = {
    "CompressedClassifier": "Classifier",
    "CompressedRTMDet": "RTMDet",
    "CompressedRetinaNet": "RetinaNet",
    "CompressedYOLOV8": "YOLOV8",
}
"""Classes in files of before -> those that read them now."""


@functools.cache
def modules_by_registered_name() -> dict[str, str]:
    """Return the module of every class that the package registers with Keras.

    The sources are read, not imported: a new class needs no entry in a list, and nothing heavy is
    loaded.

    Returns:
        dict from a registered name, such as `"keras_hkd>YOLOV8"`, to a module's name.

    Example:

    >>> modules_by_registered_name()["keras_hkd>FeatureImitation"]
    'keras_hkd.losses.feature_imitation'
    """
    folder = str(pathlib.Path(__file__).parent)
    found = decorated("keras_hkd", [folder], "keras.saving.register_keras_serializable")
    return {f"{arguments['package']}>{name}": module for name, (module, arguments) in found.items()}


def register_with_keras() -> None:
    """Register the package's classes with Keras, now or as soon as Keras is imported."""
    if "keras" in sys.modules:
        _register_placeholders()
    else:
        sys.meta_path.insert(0, _KerasWatcher())


def _register_placeholders() -> None:
    import keras

    registered = keras.saving.get_custom_objects()
    modules = modules_by_registered_name()
    for name, module in modules.items():
        if name not in registered:
            registered[name] = _placeholder(name.partition(">")[2], module)
    for former, name in FORMER_NAMES.items():
        registered[f"keras_hkd>{former}"] = _placeholder(name, modules[f"keras_hkd>{name}"])


def _placeholder(name: str, module: str) -> type:
    """Make a class whose `from_config` imports the real class and calls that of it."""

    def from_config(cls: type, config: dict[str, Any]) -> Any:
        return getattr(importlib.import_module(module), name).from_config(config)

    return type(name, (), {"__module__": module, "from_config": classmethod(from_config)})


class _KerasWatcher(importlib.abc.MetaPathFinder):
    """Registers the placeholders once Keras has been imported, and then removes itself.

    A search for Keras does not mean that it is imported at once: TensorFlow searches for it early
    and imports it later. So the finder stays until the module of Keras has been executed.
    """

    def __init__(self) -> None:
        self._asks_others = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != "keras" or self._asks_others:
            return None
        self._asks_others = True
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._asks_others = False
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            execute = loader.exec_module

            def execute_and_register(module: ModuleType) -> None:
                execute(module)
                if self in sys.meta_path:
                    sys.meta_path.remove(self)
                _register_placeholders()

            loader.exec_module = execute_and_register
        return spec
