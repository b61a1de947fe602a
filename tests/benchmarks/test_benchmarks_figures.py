"""The table of committed figures: complete, and true of what is in the repository."""

import pathlib
import re
import tomllib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"
TABLE = tomllib.loads((BENCHMARKS / "figures.toml").read_text(encoding="utf-8"))


def test_every_committed_figure_is_in_the_table():
    listed = {BENCHMARKS / file for entry in TABLE.values() for file in entry["files"]}
    assert set((BENCHMARKS / "results").iterdir()) <= listed
    cards = {(BENCHMARKS / file).resolve() for file in TABLE["zoo"]["files"]}
    assert cards == set(ROOT.glob("keras_hkd/zoo/presets/*/card.json"))


@pytest.mark.parametrize("name", TABLE)
def test_its_command_and_its_code_exist(name):
    entry = TABLE[name]
    (target,) = re.fullmatch(r"make ([a-z0-9-]+)", entry["command"]).groups()
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)
    assert entry["code"]
    for path in entry["code"]:
        assert (ROOT / path).exists(), path
