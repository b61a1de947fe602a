"""Tables of pages: what they say of result files, and where they are put."""

import json
import pathlib
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
import tables  # noqa: E402

RESULTS = {
    "alone_0": {"test": {"photos": {"AP": 0.1, "MR2": 0.5, "num_images": 3}}},
    "alone_1": {"test": {"photos": {"AP": 0.2, "MR2": 0.7, "num_images": 3}}},
    "taught_0": {"test": {"photos": {"AP": 0.3, "MR2": 0.4, "num_images": 3}}},
    "taught_1": {"test": {"photos": {"AP": 0.1, "MR2": 0.6, "num_images": 3}}},
    "half_0": {"test": {"photos": {"AP": 0.9, "MR2": 0.1, "num_images": 3}}},
}
GROUPS = {name: [f"{name}_0", f"{name}_1"] for name in ("alone", "taught", "half")}


def compared():
    return tables.compare(RESULTS, GROUPS, ["photos"], ("AP", "MR2"))


def test_groups_are_compared_with_the_first_seed_by_seed():
    found = compared()
    assert set(found) == {"alone", "taught"}  # the third lacks a run
    taught = found["taught"]["photos"]
    assert taught["scores"]["AP"] == pytest.approx({"mean": 0.2, "std": 0.02**0.5, "runs": 2})
    assert taught["gains"]["AP"] == pytest.approx([0.2, -0.1])
    assert taught["gains"]["MR2"] == pytest.approx([-0.1, -0.1])
    assert found["alone"]["photos"]["gains"]["AP"] == [0, 0]


def test_nothing_is_compared_before_the_first_group_is_finished():
    unfinished = {name: result for name, result in RESULTS.items() if name != "alone_1"}
    assert tables.compare(unfinished, GROUPS, ["photos"], ("AP",)) == {}


def test_a_table_has_a_row_for_the_teacher_and_each_group():
    labels = {"alone": "student alone", "taught": "taught", "half": "half"}
    assert tables.table(compared(), labels, {"photos": {"AP": 0.4}}) == [
        "| test list | | AP | MR-2 | gain in AP |",
        "|:--|:--|--:|--:|:--|",
        "| photos | teacher | 0.400 |  |  |",
        "|  | student alone | 0.150 ± 0.071 | 0.600 ± 0.141 |  |",
        "|  | taught | 0.200 ± 0.141 | 0.500 ± 0.141 | +0.200, -0.100 |",
    ]


def test_a_table_replaces_what_its_markers_hold_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    page = tmp_path / "docs" / "page.md"
    page.parent.mkdir()
    page.write_text(
        "# Page\n\n<!-- table: a -->\n<!-- end of table -->\nBetween.\n"
        "<!-- table: b -->\nold\n<!-- end of table -->\n"
    )
    for lines in (["| other |"], ["| one |", "| two |"]):
        tables.write_table("page.md", "b", lines)
    assert page.read_text() == (
        "# Page\n\n<!-- table: a -->\n<!-- end of table -->\nBetween.\n"
        "<!-- table: b -->\n\n| one |\n| two |\n\n<!-- end of table -->\n"
    )
    with pytest.raises(ValueError, match=re.escape("<!-- table: c -->")):
        tables.write_table("page.md", "c", [])
    assert "| two |" in page.read_text()


def committed():
    """Page, name and lines of every table that the committed figures make."""
    import default_pairs
    import demo_figures
    import proof
    import proof_sizes
    import weighting

    results = json_of("proof.json")
    for size, found in results["students"].items():
        yield "results/proof.md", size, tables.table(found, proof.LABELS, results["teacher"])
    found = json_of("proof_sizes.json")["students"]
    yield "results/proof.md", "sizes of people", tables.table(found, proof_sizes.LABELS)
    for pair, found in json_of("default_pairs.json")["pairs"].items():
        yield "results/default.md", pair, tables.table(found, default_pairs.LABELS)
    yield "results/demo.md", "demo", demo_figures.lines_of(json_of("demo.json"))
    if (ROOT / "benchmarks" / "results" / "weighting.json").exists():
        found = json_of("weighting.json")["ways"]
        yield "results/losses.md", "weighting", tables.table(found, weighting.LABELS)


def json_of(name):
    return json.loads((ROOT / "benchmarks" / "results" / name).read_text(encoding="utf-8"))


def test_pages_show_the_committed_figures():
    pages = list(committed())
    assert len(pages) > 1
    for page, name, lines in pages:
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        _, _, after = text.partition(f"<!-- table: {name} -->")
        assert after.partition("<!-- end of table -->")[0].strip().splitlines() == lines
