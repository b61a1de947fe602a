import io

import pytest
import rich.console

from keras_hkd.report import markdown_table, rich_table

ROWS = {
    "teacher": {"parameters": 12_800_000, "gflops": 8.123, "AP": 0.512, "MR2": 0.4},
    "student": {"parameters": 287_000, "AP": [0.1, 0.2, 0.3], "MR2": None, "seeds": 3},
}


def test_markdown():
    assert markdown_table(ROWS).splitlines() == [
        "| detector | parameters | GFLOPs | AP | MR-2 |",
        "|:--|--:|--:|--:|--:|",
        "| teacher | 12.8 M | 8.12 | 0.512 | 0.400 |",
        "| student | 287 k | - | 0.200 ± 0.100 | - |",
    ]


def test_the_terminal_gets_the_same_cells():
    stream = io.StringIO()
    rich.console.Console(file=stream, width=120).print(rich_table(ROWS, title="results"))
    for cell in ("results", "12.8 M", "0.200 ± 0.100", "MR-2"):
        assert cell in stream.getvalue()


def test_columns_may_be_chosen_and_need_not_be_known():
    assert markdown_table(ROWS, ["seeds", "AP"]).splitlines()[-1] == (
        "| student | 3 | 0.200 ± 0.100 |"
    )


@pytest.mark.parametrize(("value", "cell"), [([], "-"), ([0.5], "0.500"), ("n/a", "n/a")])
def test_odd_values(value, cell):
    assert markdown_table({"x": {"AP": value}}).splitlines()[-1] == f"| x | {cell} |"


def test_no_rows_give_a_heading_only():
    assert markdown_table({}).splitlines() == ["| detector |", "|:--|"]
