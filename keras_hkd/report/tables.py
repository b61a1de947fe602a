"""Writes results of several detectors as one table, for a terminal or a page."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import rich.box
import rich.table


def _count(value: float) -> str:
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:g}"


def _fraction(value: float) -> str:
    return f"{value:.3f}"


# key of the results -> (heading, how to write one number)
COLUMNS: dict[str, tuple[str, Callable[[float], str]]] = {
    "parameters": ("parameters", _count),
    "gflops": ("GFLOPs", "{:.3g}".format),
    "AP": ("AP", _fraction),
    "AP50": ("AP50", _fraction),
    "AP75": ("AP75", _fraction),
    "AR100": ("AR100", _fraction),
    "MR2": ("MR-2", _fraction),
    "accuracy": ("accuracy", _fraction),
    "balanced_accuracy": ("balanced", _fraction),
    "latency_ms": ("ms", "{:.1f}".format),
}


def rich_table(
    rows: Mapping[str, Mapping], columns: Sequence[str] | None = None, title: str | None = None
) -> rich.table.Table:
    """Make a table of results that `rich` prints.

    Args:
        rows: name of a detector -> its results by key. A list of numbers, such as one per seed, is
            written as mean and sample standard deviation; what is absent or None as a dash.
        columns: keys in order; by default those of `COLUMNS` that some row has.
        title: text above the table.

    Example:

    >>> table = rich_table({"student": {"parameters": 1_050_000, "AP": 0.25}})
    >>> [column.header for column in table.columns]
    ['detector', 'parameters', 'AP']
    """
    headings, lines = cells(rows, columns)
    table = rich.table.Table(title=title, title_justify="left", box=rich.box.SIMPLE)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="left" if number == 0 else "right", no_wrap=True)
    for line in lines:
        table.add_row(*line)
    return table


def markdown_table(rows: Mapping[str, Mapping], columns: Sequence[str] | None = None) -> str:
    """Write results as a Markdown table; see `rich_table` for the arguments.

    Example:

    >>> print(markdown_table({"alone": {"AP": [0.25, 0.27]}, "distilled": {"AP": 0.3}}))
    | detector | AP |
    |:--|--:|
    | alone | 0.260 ± 0.014 |
    | distilled | 0.300 |
    """
    headings, lines = cells(rows, columns)
    rule = "|:--" + "|--:" * (len(headings) - 1) + "|"
    body = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([f"| {' | '.join(headings)} |", rule, *body])


def cells(
    rows: Mapping[str, Mapping], columns: Sequence[str] | None = None
) -> tuple[list[str], list[list[str]]]:
    """Write the headings and the lines of a table of results; see `rich_table` for the arguments.

    Example:

    >>> cells({"alone": {"AP": [0.25, 0.27]}})
    (['detector', 'AP'], [['alone', '0.260 ± 0.014']])
    """
    if columns is None:
        columns = [key for key in COLUMNS if any(key in row for row in rows.values())]
    known = {key: COLUMNS.get(key, (key, "{:.4g}".format)) for key in columns}
    headings = ["detector", *(heading for heading, _ in known.values())]
    lines = [
        [name, *(_cell(row.get(key), write) for key, (_, write) in known.items())]
        for name, row in rows.items()
    ]
    return headings, lines


def _cell(value: Any, write: Callable[[float], str]) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        numbers = [float(number) for number in value if number is not None]
        if len(numbers) > 1:
            return f"{write(statistics.mean(numbers))} ± {write(statistics.stdev(numbers))}"
        value = numbers[0] if numbers else None
    if value is None:
        return "-"
    return value if isinstance(value, str) else write(float(value))
