"""Every public name: it resolves, it explains itself, and Keras finds it again in a saved file."""

import importlib
import inspect
import pkgutil

import pytest

import keras_hkd
from keras_hkd.registration import modules_by_registered_name

# Bases that nobody saves: only what derives from them can be built.
ABSTRACT = {
    "keras_hkd.detectors.detector.Detector",
    "keras_hkd.distillation.schedules.WeightSchedule",
    "keras_hkd.hierarchies.hierarchy.Hierarchy",
    "keras_hkd.learner.Learner",
    "keras_hkd.base_model.BaseModel",
}


def packages() -> list[str]:
    found = pkgutil.walk_packages(keras_hkd.__path__, "keras_hkd.")
    return ["keras_hkd", *(module.name for module in found if module.ispkg)]


def modules() -> list[str]:
    return [module.name for module in pkgutil.walk_packages(keras_hkd.__path__, "keras_hkd.")]


@pytest.mark.parametrize("package", packages())
def test_every_listed_name_resolves_and_explains_itself(package):
    module = importlib.import_module(package)
    assert module.__doc__, f"{package} has no docstring"
    for name in getattr(module, "__all__", []):
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isroutine(value) or inspect.ismodule(value):
            assert inspect.getdoc(value), f"{package}.{name} has no docstring"


@pytest.mark.parametrize("package", [name for name in packages() if name != "keras_hkd.cli"])
def test_every_package_lists_its_names(package):
    module = importlib.import_module(package)
    assert module.__all__ == sorted(module.__all__)
    assert set(module.__all__) <= set(dir(module))
    assert not [name for name in module.__all__ if name.startswith("_")]


def test_the_pinned_names_are_where_other_tools_look():
    assert keras_hkd.TeacherCache is importlib.import_module("keras_hkd.caching").TeacherCache
    for name in ("Pyramid", "Region", "ClassTower", "ClassLogits", "Boxes"):
        assert inspect.isclass(getattr(keras_hkd.hierarchies, name))
    for name in (
        "FeatureImitation",
        "PearsonCorrelation",
        "LogitDistillation",
        "AdaptiveDistillation",
    ):
        assert inspect.isclass(getattr(keras_hkd.losses, name))
    parameters = inspect.signature(keras_hkd.Distiller.__init__).parameters
    assert list(parameters)[1:6] == [
        "teacher",
        "student",
        "distillation_losses",
        "distillation_loss_weights",
        "student_loss_weight",
    ]


def test_losses_and_hierarchies_stand_in_the_list_of_their_package():
    bases = {
        "losses": keras_hkd.losses.DistillationLoss,
        "hierarchies": keras_hkd.hierarchies.Hierarchy,
    }
    for package, base in bases.items():
        for registered, module in modules_by_registered_name().items():
            if module.startswith(f"keras_hkd.{package}."):
                name = registered.partition(">")[2]
                value = getattr(importlib.import_module(module), name)
                listed = name in getattr(keras_hkd, package).__all__
                assert listed or not issubclass(value, base), f"{module}: no {name} in __all__"


@pytest.mark.parametrize("name", modules())
def test_keras_objects_are_registered_under_our_name(name):
    import keras

    module = importlib.import_module(name)
    for value in vars(module).values():
        if (
            inspect.isclass(value)
            and value.__module__ == name
            and not value.__name__.startswith("_")
            and callable(getattr(value, "get_config", None))
            and f"{name}.{value.__name__}" not in ABSTRACT
        ):
            registered = keras.saving.get_registered_name(value)
            assert registered == f"keras_hkd>{value.__name__}", f"{name}.{value.__name__}"
