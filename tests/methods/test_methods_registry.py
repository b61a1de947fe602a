"""Methods by name."""

import pytest

from keras_hkd import methods


def test_every_name_is_a_function():
    assert "hkd" in methods.METHODS
    for name in methods.METHODS:
        assert callable(methods.get(name))
    assert methods.get("hkd").__name__ == "hkd"


@pytest.mark.parametrize("name", ["hdk", "", None, 3])
def test_unknown_names_are_refused_and_the_nearest_shown(name):
    with pytest.raises(ValueError, match="No method is called .*Methods: .*hkd"):
        methods.get(name)
    if name == "hdk":
        with pytest.raises(ValueError, match="Did you mean 'hkd'"):
            methods.get(name)
