"""The section of a report on how much of the student's gradient each term has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_hkd.report.page_blocks import Charts, Section, Table
from keras_hkd.report.run_records import RunGroup, RunRecord
from keras_hkd.report.run_sections import style_of
from keras_hkd.report.svg_charts import Axis, Series, legend, line_chart


def gradient_shares(groups: Sequence[RunGroup]) -> Section:
    """Show how much of the student's gradient each term has."""
    blocks: list[Any] = []
    for group in groups:
        for run in group.runs:
            if run.balance.get("shares_before"):
                blocks += _balance_tables(group, run)
                break
        suffix = "_gradient_share"
        run = next((r for r in group.runs if any(k.endswith(suffix) for k in r.history)), None)
        if run is not None:
            names = [key for key in run.history if key.endswith(suffix)]
            asked = run.balance.get("shares_after", {})
            lines = []
            for number, name in enumerate(names):
                term = name.removesuffix(suffix)
                first = [(0, asked[term])] if term in asked else []
                lines.append(Series(term, [*first, *run.points(name)], style_of(number), True))
            y = Axis("share of the gradient", low=0.0)
            chart = line_chart("gradient shares", lines, Axis("epoch", whole=True), y)
            entries = [(one.style, one.name.removesuffix("_loss")) for one in lines]
            heading = f"{group.name}, seed {run.seed}"
            blocks.append(Charts([(heading, chart)], legend(entries)))
    title = "Gradient shares"
    if not blocks:
        absent = (
            "These runs recorded no gradient shares: they are written where a Distiller balances "
            "its terms, and through training where `--shares-every` is given or the callback "
            "`keras_hkd.distillation.GradientShares`."
        )
        return Section("gradients", title, absent=absent)
    lead = (
        "The norm of each weighted term's gradient at the student's weights, as a share of their "
        "sum. A share near 0 has no effect; one near 1 leaves the others none. Shares that were "
        "balanced stand at epoch 0."
    )
    return Section("gradients", title, lead, blocks)


def _balance_tables(group: RunGroup, run: RunRecord) -> list[Table]:
    """Show what was measured before the first step, and after epochs that balanced anew."""
    headings = ["term", "share before", "share balanced", "scale"]
    tables = []
    for one in [run.balance, *run.balance.get("rebalanced", ())]:
        after, scales = one.get("shares_after", {}), one.get("scales", {})
        rows = [
            [
                name,
                _share(before),
                _share(after.get(name)),
                f"{scales[name]:.3g}" if name in scales else "-",
            ]
            for name, before in one["shares_before"].items()
        ]
        epoch = one.get("after_epoch")
        when = "before the first step" if epoch is None else f"after epoch {epoch}"
        caption = (
            f"{group.name}, seed {run.seed}: measured on {one.get('num_batches')} batches {when}."
        )
        tables.append(Table(headings, rows, caption))
    return tables


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"
