"""Tables read from sources: a new file is in them without being listed."""

import pytest

from keras_hkd.sources import decorated, public_names


@pytest.fixture
def package(tmp_path):
    (tmp_path / "circle.py").write_text(
        'import no_such_library\n\n__all__ = ["Circle", "area"]\n\n\n'
        "@shape(sides=0, names=('ring',))\n@final\nclass Circle:\n    pass\n\n\n"
        "@shape.part\ndef area(): pass\n"
    )
    (tmp_path / "wide.py").write_text(
        '__all__ = [\n    "Wide",\n]\n\n\n@shape(\n    sides=3,\n)\ndef wide(): pass\n'
    )
    (tmp_path / "helper.py").write_text("def shape(**facts): return lambda one: one\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "method.py").write_text('__all__ = ("deep",)\n')
    (tmp_path / "folder" / "part.py").write_text('__all__ = ["Part"]\n')
    return "shapes", [str(tmp_path)]


def test_public_names_are_those_of_all(package):
    assert public_names(*package) == {
        "Circle": "shapes.circle",
        "area": "shapes.circle",
        "Wide": "shapes.wide",
    }
    assert public_names(*package, "*/method.py") == {"deep": "shapes.folder.method"}


def test_decorated_gives_modules_and_arguments(package):
    assert decorated(*package, "shape") == {
        "Circle": ("shapes.circle", {"sides": 0, "names": ("ring",)}),
        "wide": ("shapes.wide", {"sides": 3}),
    }
    assert decorated(*package, "other") == {}


def test_a_name_that_stands_twice_is_refused(tmp_path):
    for name in ("one", "other"):
        (tmp_path / f"{name}.py").write_text("@shape()\nclass Square: pass\n")
    with pytest.raises(ValueError, match=r"Square in shapes\.one and shapes\.other"):
        decorated("shapes", [str(tmp_path)], "shape")


def test_arguments_that_are_no_literals_are_refused(tmp_path):
    (tmp_path / "square.py").write_text("@shape(sides=four)\nclass Square: pass\n")
    with pytest.raises(ValueError, match="malformed node"):
        decorated("shapes", [str(tmp_path)], "shape")
