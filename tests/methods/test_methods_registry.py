"""Methods by name."""

import pytest

from keras_hkd import methods
from keras_hkd.methods.registry import method


def test_every_name_is_a_function():
    assert "hkd" in methods.METHODS
    for name in methods.METHODS:
        assert callable(methods.get(name))
    assert methods.get("hkd").__name__ == "hkd"


def test_what_the_modules_declare_is_in_the_table():
    table = methods.METHODS
    assert table["lw_kd"].teacher is None and table["lw_kd"].facts == ("folder", "seed")
    assert table["hsakd"].prepare == "prepared_teacher"
    assert table["hssakd"].teacher == table["mutual"].teacher == "peer"
    assert [name for name in table if table[name].unlabelled] == ["sad"]
    with pytest.raises(TypeError, match="Received: .'labels'"):
        method(labels=True)


MODULES = ("hkd", "ld", "hsakd", "hssakd", "lw_kd", "osakd")
MODULES_FIRST = f"""
import importlib
for name in {MODULES}:
    importlib.import_module(f"keras_hkd.methods.{{name}}")
import keras_hkd.methods.hkd
"""
ENTRANCES = f"""
import importlib, inspect
import keras_hkd
names = {MODULES}
for name in (*names, *keras_hkd.methods.METHODS):
    method = getattr(keras_hkd.methods, name)
    assert inspect.isfunction(method) and method.__name__ == name, (name, method)
    assert method is keras_hkd.methods.get(name)
for name in names:
    importlib.import_module(f"keras_hkd.methods.{{name}}")
    assert inspect.isfunction(getattr(keras_hkd.methods, name)), name
from keras_hkd.methods.hsakd import hsakd
from keras_hkd.methods.hkd import LOGIT_SOURCES, hkd
assert keras_hkd.hkd is hkd is keras_hkd.methods.hkd.hkd and keras_hkd.methods.hsakd is hsakd
assert keras_hkd.ld is keras_hkd.methods.ld and keras_hkd.kd is keras_hkd.methods.kd
"""


@pytest.mark.slow
@pytest.mark.own_process
def test_every_method_is_a_function_also_if_its_module_was_imported_first(fresh_python):
    fresh_python(MODULES_FIRST + ENTRANCES)


def test_every_method_is_a_function_whatever_was_imported_before():
    exec(ENTRANCES, {})


@pytest.mark.parametrize("name", ["hdk", "", None, 3])
def test_unknown_names_are_refused_and_the_nearest_shown(name):
    with pytest.raises(ValueError, match="No method is called .*Methods: .*hkd"):
        methods.get(name)
    if name == "hdk":
        with pytest.raises(ValueError, match="Did you mean 'hkd'"):
            methods.get(name)
