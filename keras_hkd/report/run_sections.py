"""The sections of a report that need nothing but the run folders."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from keras_hkd.messages import told_apart
from keras_hkd.report.page_blocks import Charts, Code, Section, Table, Text
from keras_hkd.report.paired_test import PairedTest, paired_test
from keras_hkd.report.run_records import RunGroup, RunRecord, partner_of
from keras_hkd.report.svg_charts import Axis, Series, legend, line_chart
from keras_hkd.report.tables import COLUMNS, cells

Scores = Mapping[str, Mapping[str, Any]]

_TESTED = ("AP", "AP50", "MR2", "accuracy", "balanced_accuracy")
_COSTS = ("parameters", "gflops", "latency_ms")
_QUALITY = ("AP", "AP50", "AP75", "AR100", "MR2", "accuracy", "balanced_accuracy")


def style_of(number: int) -> str:
    """Return the class of the colour of a group."""
    return f"s{number % 6}"


def group_legend(groups: Sequence[RunGroup], teacher: bool = False) -> Any:
    """Write which colour is which group.

    Args:
        groups: in order.
        teacher: whether the teacher is in the chart.
    """
    entries = [(style_of(number), group.name) for number, group in enumerate(groups)]
    return legend([("teacher", "teacher"), *entries] if teacher else entries)


def comparison(
    groups: Sequence[RunGroup], teacher: Mapping[str, Any], scores: Scores, measured: str
) -> Section:
    """Compare teacher, student alone and student distilled.

    Args:
        groups: the runs.
        teacher: figures of the teacher; {} where there are none.
        scores: figures of the students by path of the run.
        measured: on which images, as words.
    """
    rows: dict[str, dict[str, Any]] = {"teacher": dict(teacher)} if teacher else {}
    for group in groups:
        found = [scores[str(run.path)] for run in group.runs if scores.get(str(run.path))]
        keys = [key for key in COLUMNS if any(key in one for one in found)]
        name = f"{group.name} ({_seeds(len(found))})"
        if found:
            rows[name] = {key: [one.get(key) for one in found] for key in keys} | _averaged(group)
    lead = (
        "Students of several seeds are given as mean ± sample standard deviation. AP, AP50 and AR: "
        "higher is better. MR-2, the log-average miss rate: lower is better."
    )
    if not rows:
        absent = "No run among these came to its end, so nothing was measured yet."
        return Section("comparison", "Comparison", absent=absent)
    shown = [key for key in COLUMNS if any(key in row for row in rows.values())]
    headings, lines = cells(rows, shown)
    blocks: list[Any] = [Table(["", *headings[1:]], lines, f"Measured on {measured}.")]
    runs = [run for group in groups for run in group.runs]
    named = zip(told_apart([run.path for run in runs]), runs, strict=True)
    open_ones = [n for n, run in named if not (run.is_finished or scores.get(str(run.path)))]
    if open_ones:
        blocks.append(Text(f"Not finished, so without figures: {', '.join(open_ones)}."))
    blocks += _tests(groups, scores)
    return Section("comparison", "Comparison", lead, blocks)


def _tests(groups: Sequence[RunGroup], scores: Scores) -> list[Any]:
    distilled = [group for group in groups if group.is_distilled]
    if not distilled:
        return [Text("No run among these is distilled, so there is nothing to compare with.")]
    blocks: list[Any] = []
    for group in distilled:
        alone = partner_of(group, groups)
        if alone is None:
            blocks.append(
                Text(
                    f"No student trained alone is among these runs, so what {group.name} gains "
                    "cannot be told: train one with `keras-hkd train` on the same images and seeds."
                )
            )
            continue
        blocks += _tested(group, alone, scores)
    return blocks


def _tested(group: RunGroup, alone: RunGroup, scores: Scores) -> list[Any]:
    rows, verdicts = [], []
    for key in _TESTED:
        before, after = (_by_seed(one, scores, key) for one in (alone, group))
        seeds = [seed for seed in after if seed in before]
        if not seeds:
            continue
        found = paired_test([before[s] for s in seeds], [after[s] for s in seeds])
        rows.append([COLUMNS[key][0], *_row(found, seeds)])
        if key in ("AP", "accuracy"):
            verdicts.append(_verdict(group, alone, key, found))
    if not rows:
        text = f"{group.name} and {alone.name} have no seed in common, so they cannot be paired."
        return [Text(text)]
    headings = ["", "seeds", "mean difference", "deviation", "by seed", "p"]
    caption = f"{group.name} minus {alone.name}, by Student's paired t-test over equal seeds."
    notes = [Text(verdict, strong=True) for verdict in verdicts]
    same = group.runs[0].record.get("data_hash") == alone.runs[0].record.get("data_hash")
    if not same:
        notes.append(Text(f"Mind: {group.name} and {alone.name} saw different training images."))
    epochs = [one.runs[0].settings.get("epochs") for one in (group, alone)]
    if epochs[0] != epochs[1]:
        notes.append(Text(f"Mind: they were trained for {epochs[0]} and {epochs[1]} epochs."))
    return [*notes, Table(headings, rows, caption)]


def _row(found: PairedTest, seeds: Sequence[Any]) -> list[str]:
    each = ", ".join(f"{seed}: {d:+.3f}" for seed, d in zip(seeds, found.differences, strict=True))
    deviation = "-" if found.deviation is None else f"{found.deviation:.4f}"
    p_value = "-" if found.p_value is None else f"{found.p_value:.3f}"
    return [str(len(seeds)), f"{found.mean:+.4f}", deviation, each, p_value]


def _verdict(group: RunGroup, alone: RunGroup, key: str, found: PairedTest) -> str:
    gains = sum(d > 0 for d in found.differences)
    number = len(found.differences)
    text = (
        f"{group.name}: {COLUMNS[key][0]} {found.mean:+.3f} against {alone.name}; "
        f"{gains} of {_seeds(number)} {'gains' if 1 in (gains, number) else 'gain'}. "
    )
    if found.p_value is None:
        return text + "One seed says nothing about chance: train three or more."
    if found.p_value >= 0.05:
        return text + f"That may be chance (p = {found.p_value:.2f}); more seeds would tell."
    return text + f"Chance alone would rarely do that (p = {found.p_value:.3f})."


def _by_seed(group: RunGroup, scores: Scores, key: str) -> dict[Any, float]:
    found = {run.seed: scores.get(str(run.path), {}).get(key) for run in group.runs}
    return {seed: float(value) for seed, value in found.items() if value is not None}


def _seeds(number: int) -> str:
    return "1 seed" if number == 1 else f"{number} seeds"


def training_curves(groups: Sequence[RunGroup]) -> Section:
    """Draw losses and validation figures over the epochs."""
    title = "Training curves"
    runs = [run for group in groups for run in group.runs]
    if not any(run.history for run in runs):
        absent = "The runs hold no history: none of them finished an epoch."
        return Section("curves", title, absent=absent)
    charts = []
    wanted = [("loss", "training loss", True)]
    wanted += [(f"val_{key}", f"validation {COLUMNS[key][0]}", False) for key in _QUALITY]
    for key, heading, log in wanted:
        lines = [
            Series(f"{group.name}, seed {run.seed}", run.points(key), style_of(number), True)
            for number, group in enumerate(groups)
            for run in group.runs
            if key in run.history
        ]
        if key in ("val_AP75", "val_AR100") or not lines:
            continue
        y = Axis(heading, log=log and all(v > 0 for one in lines for _, v in one.finite))
        charts.append((heading, line_chart(heading, lines, Axis("epoch", whole=True), y)))
    blocks: list[Any] = [Charts(charts, group_legend(groups))]
    blocks += [block for group in groups if group.is_distilled for block in _terms(group)]
    if not any(key.startswith("val_") for run in runs for key in run.history):
        blocks.append(Text("No run was measured while it trained: give it images with --val."))
    lead = (
        "One line for each seed. The losses of a distilled student hold its distillation terms and "
        "are not those of a student alone: compare validation figures."
    )
    return Section("curves", title, lead, blocks)


def _terms(group: RunGroup) -> list[Any]:
    """Draw the unweighted terms of the first seed of a group."""
    run = group.runs[0]
    names = [key for key in run.history if key.endswith("_loss") and not key.startswith("val_")]
    lines = [
        Series(name, run.points(name), style_of(number), True) for number, name in enumerate(names)
    ]
    if not lines:
        return []
    y = Axis("unweighted", log=all(v > 0 for one in lines for _, v in one.finite))
    chart = line_chart("terms", lines, Axis("epoch", whole=True), y)
    entries = [(one.style, _term(run, one.name.removesuffix("_loss"))) for one in lines]
    return [Charts([(f"terms of {group.name}, seed {run.seed}", chart)], legend(entries))]


def _term(run: RunRecord, name: str) -> str:
    """Write the name of a term; of a student's own loss, where that is known, that it is one."""
    scales = run.balance.get("scales", {})
    own = " (the student's own)" if scales and name not in scales else ""
    return name.replace("_", " ") + own


def costs(groups: Sequence[RunGroup], teacher: Mapping[str, Any], scores: Scores) -> Section:
    """Show size, operations and time."""
    rows: list[list[str]] = []
    points = []
    everything: list[tuple[str, Mapping[str, Any], RunRecord | None]] = []
    if teacher:
        everything.append(("teacher", teacher, None))
    for group in groups:
        run = next((run for run in group.runs if run.student_results), None)
        if run is not None:
            everything.append((group.name, _averaged(group), run))
    for name, figures, run in everything:
        cost = [_cost(figures, key) for key in _COSTS]
        file = None if run is None else run.model_file
        size = "-" if file is None else f"{file.stat().st_size / 1e6:.2f} MB"
        rows.append([name, *cost, size, *_time(run)])
    for number, group in enumerate(groups):
        points += _cost_points(group, scores, style_of(number))
    if teacher.get("latency_ms") and teacher.get("AP") is not None:
        points.append(Series("teacher", [(teacher["latency_ms"], teacher["AP"])], "teacher", True))
    title = "Cost and latency"
    if not rows:
        return Section("cost", title, absent="No run among these measured what its model costs.")
    headings = ["", "parameters", "GFLOPs", "ms per image", "file", "training", "per epoch"]
    blocks: list[Any] = [Table(headings, rows)]
    chart = line_chart(
        "AP over latency", points, Axis("ms per image", low=0.0), Axis("AP", low=0.0)
    )
    if chart:
        blocks.append(Charts([("AP over latency", chart)], group_legend(groups, bool(teacher))))
    lead = (
        "As measured at the end of each run, on the machine that trained it: medians of single "
        "images in Keras. `keras-hkd benchmark` times models and exported files on an idle machine."
    )
    return Section("cost", title, lead, blocks)


def _averaged(group: RunGroup) -> dict[str, float]:
    found: dict[str, float] = {}
    for key in _COSTS:
        values = list(group.by_seed(key).values())
        if values:
            found[key] = statistics.fmean(values)
    return found


def _cost(figures: Mapping[str, Any], key: str) -> str:
    value = figures.get(key)
    return "-" if value is None else COLUMNS[key][1](value)


def _time(run: RunRecord | None) -> list[str]:
    seconds = [] if run is None else [s for s in run.history.get("seconds", ()) if s is not None]
    if not seconds:
        return ["-", "-"]
    return [_duration(sum(seconds)), _duration(statistics.median(seconds))]


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _cost_points(group: RunGroup, scores: Scores, style: str) -> list[Series]:
    points = []
    for run in group.runs:
        latency = run.student_results.get("latency_ms")
        ap = scores.get(str(run.path), {}).get("AP")
        if latency and ap is not None:
            points.append(Series(f"{group.name}, seed {run.seed}", [(latency, ap)], style, True))
    return points


def provenance(groups: Sequence[RunGroup], data: Sequence[tuple[str, str]]) -> Section:
    """Name the commands, versions and hashes.

    Args:
        groups: the runs.
        data: further pairs of a name and a hash, such as of the images of the report.
    """
    runs = [run for group in groups for run in group.runs]
    blocks: list[Any] = [Code([run.command for run in runs])]
    rows = [
        [
            name,
            str(run.record.get("status", "-")),
            str(run.seed),
            str((run.sessions or [{}])[0].get("started", "-")),
            str(len(run.sessions)),
        ]
        for name, run in zip(told_apart([run.path for run in runs]), runs, strict=True)
    ]
    headings = ["run", "status", "seed", "started (UTC)", "sessions"]
    blocks.append(Table(headings, rows, "More than one session: it was resumed.", numbers=False))
    blocks.append(Table(["package", "versions"], _versions(runs), numbers=False))
    hashes = [("training images", _distinct(run.record.get("data_hash") for run in runs))]
    hashes.append(("teacher", _distinct(run.record.get("teacher_hash") for run in runs)))
    rows = [[name, value] for name, value in [*hashes, *data] if value]
    blocks.append(Table(["SHA-256 of", ""], rows, numbers=False))
    blocks.append(Table(["setting", "value"], _settings(runs), numbers=False))
    lead = "What has to be typed, installed and downloaded to get these figures again."
    return Section("provenance", "Commands, versions, data", lead, blocks)


def _versions(runs: Sequence[RunRecord]) -> list[list[str]]:
    found: dict[str, list[str]] = {}
    for run in runs:
        for session in run.sessions:
            for name, value in session.items():
                if name not in ("started", "command"):
                    found.setdefault(name, []).append(str(value))
    return [[name, _distinct(values)] for name, values in sorted(found.items())]


def _settings(runs: Sequence[RunRecord]) -> list[list[str]]:
    names = dict.fromkeys(name for run in runs for name in run.settings)
    return [[name, _distinct(run.settings.get(name, "-") for run in runs)] for name in names]


def _distinct(values: Any) -> str:
    """Write different values once each, in order."""
    return ", ".join(dict.fromkeys(_plain(value) for value in values if value is not None))


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return " x ".join(map(_plain, value))
    return str(value)
