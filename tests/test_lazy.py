import importlib
import sys

import pytest

from keras_hkd._lazy import attach


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "lazy_example"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from keras_hkd._lazy import attach\n"
        "__getattr__, __dir__, __all__ = attach(\n"
        "    __name__, {'Circle': 'shapes', 'area': 'shapes', 'colours': None, 'Missing': 'shapes',"
        " 'broken': None, 'resize': 'resize', 'crop': 'crop.method'})\n"
    )
    (folder / "resize.py").write_text("FACTOR = 2\ndef resize(size): return FACTOR * size\n")
    (folder / "crop").mkdir()
    (folder / "crop" / "__init__.py").write_text("")
    (folder / "crop" / "method.py").write_text("def crop(): pass\n")
    (folder / "shapes.py").write_text("class Circle: pass\ndef area(): return 4\n")
    (folder / "colours.py").write_text("RED = 1\n")
    (folder / "broken.py").write_text("import no_such_module_anywhere\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("lazy_example")
    for name in [name for name in sys.modules if name.split(".")[0] == "lazy_example"]:
        del sys.modules[name]


def test_nothing_loads_before_its_name_is_used(package):
    assert "lazy_example.shapes" not in sys.modules
    assert package.area() == 4
    assert "lazy_example.shapes" in sys.modules
    assert "lazy_example.colours" not in sys.modules


def test_a_loaded_name_is_kept(package):
    assert package.Circle is package.Circle
    assert "Circle" in vars(package)


def test_a_submodule_can_be_the_public_name(package):
    assert package.colours is sys.modules["lazy_example.colours"]


def test_from_import_works(package):
    from lazy_example import Circle, colours

    assert Circle.__module__ == "lazy_example.shapes"
    assert colours.RED == 1


def test_dir_and_all_list_every_public_name(package):
    assert package.__all__ == [
        *("Circle", "Missing", "area", "broken", "colours", "crop", "resize")
    ]
    assert set(package.__all__) < set(dir(package))
    assert "__name__" in dir(package)


def test_an_unknown_name_shows_the_nearest(package):
    with pytest.raises(AttributeError, match="no attribute 'Cirle'. Did you mean: 'Circle'?"):
        package.Cirle  # noqa: B018
    with pytest.raises(AttributeError, match="has no attribute 'zzz'$"):
        package.zzz  # noqa: B018
    assert not hasattr(package, "_private")


def test_a_listed_name_that_its_module_lacks_is_an_attribute_error(package):
    with pytest.raises(AttributeError, match="lazy_example.shapes.*Missing"):
        package.Missing  # noqa: B018


def test_an_import_error_in_a_submodule_is_not_hidden(package):
    with pytest.raises(ModuleNotFoundError, match="no_such_module_anywhere"):
        package.broken  # noqa: B018


@pytest.mark.parametrize("module_first", [False, True])
def test_a_name_that_equals_its_submodule_is_the_object_in_any_order(package, module_first):
    if module_first:
        importlib.import_module("lazy_example.resize")
    assert package.resize(2) == 4
    module = importlib.import_module("lazy_example.resize")
    assert package.resize(2) == 4
    assert package.resize.resize is package.resize is module.resize
    from lazy_example.resize import FACTOR, resize

    assert resize(1) == FACTOR


def test_a_name_that_equals_a_folder_is_the_object_too(package):
    module = importlib.import_module("lazy_example.crop.method")
    assert package.crop is module.crop
    assert sys.modules["lazy_example.crop"].__path__


def test_dir_shows_public_names_and_no_helpers(package):
    assert package.attach is attach
    assert [name for name in dir(package) if not name.startswith("__")] == package.__all__
