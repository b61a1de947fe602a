"""A table of named models is read from the sources, and imports a model's module on demand."""

import sys

import pytest

from keras_hkd.named_builders import builder, builders_of


@pytest.fixture
def package(tmp_path, monkeypatch):
    (tmp_path / "named_nets").mkdir()
    (tmp_path / "named_nets" / "nets.py").write_text(
        "from keras_hkd.named_builders import builder\n\n\n"
        '@builder(about="small")\ndef tiny(): return 1\n\n\n'
        '@builder(about="large", name="big_1.0")\ndef big(): return 2\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    return "named_nets", str(tmp_path / "named_nets")


def test_names_and_lines_are_known_before_the_module_is_imported(package):
    table = builders_of(*package, "*.py")
    assert {name: row.about for name, row in table.items()} == {"tiny": "small", "big_1.0": "large"}
    assert "named_nets.nets" not in sys.modules
    assert [row.load()() for row in table.values()] == [1, 2]


def test_a_builder_stays_the_function_it_was():
    def make():
        return "model"

    assert builder(about="a line")(make) is make
