"""The sections of a report that draw curves of what was found on labelled images."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_hkd.report.detection_curves import IOU, Reliability, reliability
from keras_hkd.report.findings import Findings, Measured
from keras_hkd.report.page_blocks import Charts, Section, Table, Text
from keras_hkd.report.run_records import RunGroup
from keras_hkd.report.run_sections import group_legend, style_of
from keras_hkd.report.svg_charts import Axis, Series, bar_chart, line_chart

_COCO_SIZES = ("AP_small", "AP_medium", "AP_large")


def curves(groups: Sequence[RunGroup], found: Findings) -> Section:
    """Draw precision over recall and miss rate over false positives per image."""
    precision, misses = [], []
    for number, group in enumerate(groups):
        for seed, one in found.of(group):
            name = f"{group.name}, {seed}"
            precision.append(_precision_line(name, one, style_of(number)))
            misses.append(_miss_line(name, one, style_of(number)))
    if found.teacher is not None:
        precision.append(_precision_line("teacher", found.teacher, "teacher"))
        misses.append(_miss_line("teacher", found.teacher, "teacher"))
    curve = next(iter(found.students.values())).miss_rate
    num_images = len(found.dataset)
    charts = [
        (
            f"precision over recall (IoU {IOU:g})",
            line_chart(
                "precision over recall",
                precision,
                Axis("recall", 0.0, 1.0),
                Axis("precision", 0.0, 1.0),
            ),
        ),
        (
            "miss rate over false positives per image",
            line_chart(
                "miss rate over false positives per image",
                misses,
                Axis("false positives per image", 0.01, 10.0, log=True),
                Axis("miss rate", low=_floor(misses), high=1.0, log=True),
            ),
        ),
    ]
    blocks: list[Any] = [Charts(charts, group_legend(groups, found.teacher is not None))]
    if num_images < 100:
        blocks.append(
            Text(
                f"Mind: with {num_images} images one false alarm is already {1 / num_images:.2g} "
                "per image, so the left end of the miss rate is decided by single detections. Use "
                "100 images or more to compare detectors."
            )
        )
    lead = (
        "Left: of all people who count, the share that is found (recall), and of all detections "
        "the share that is right (precision); further up and right is better. Right: the share of "
        f"people of 50 px height or more who are missed ({curve.num_people} of them), over false "
        "alarms per image; lower is better, and MR-2 averages it between 0.01 and 1."
    )
    return Section("detection", "Precision, recall, miss rate", lead, blocks)


def _precision_line(name: str, one: Measured, style: str) -> Series:
    recall, precision = one.people.precision_recall()
    return Series(
        name, _thinned(list(zip(recall.tolist(), precision.tolist(), strict=True))), style
    )


def _miss_line(name: str, one: Measured, style: str) -> Series:
    curve = one.miss_rate
    x = np.maximum(curve.false_positives_per_image, 0.01)
    last = np.append(x[1:] != x[:-1], True) if len(x) else np.zeros(0, bool)
    points = list(zip(x[last].tolist(), curve.miss_rates[last].tolist(), strict=True))
    return Series(name, _thinned([p for p in points if p[0] <= 10]), style)


def _thinned(points: list[tuple[float, float]], most: int = 300) -> list[tuple[float, float]]:
    """Keep a page small: so many points of a line at most, spread evenly."""
    if len(points) <= most:
        return points
    return [points[int(n)] for n in np.linspace(0, len(points) - 1, most).round()]


def _floor(lines: Sequence[Series]) -> float:
    lowest = min((y for one in lines for _, y in one.finite if y > 0), default=0.1)
    return max(0.8 * lowest, 0.01)


def subsets(groups: Sequence[RunGroup], found: Findings) -> Section:
    """Compare AP by size and by occlusion."""
    models = _models(groups, found)
    blocks: list[Any] = []
    names = ["small", "medium", "large"]
    bars = []
    for name, style, several in models:
        values = [_mean([one.scores.get(key) for one in several]) for key in _COCO_SIZES]
        bars.append((name, style, values))
    charts = [("AP by COCO's areas", bar_chart("AP by COCO's areas", names, bars, Axis("AP")))]
    heights, counts, chart = _by(models, "by_height", "AP50 by height")
    charts.append(("AP50 by height in the photograph", chart))
    blocks.append(Charts(charts, group_legend(groups, found.teacher is not None)))
    blocks.append(Table(["", *counts], heights, "AP50 by height; in brackets the people."))
    blocks += _by_occlusion(models, found)
    lead = (
        "AP over IoU 0.5 to 0.95 by COCO's areas: small is below 32 x 32 pixels, large above 96 x "
        "96. AP50 by height counts the people of a range alone; detections of others are left "
        "aside. Means over seeds."
    )
    return Section("subsets", "By size and occlusion", lead, blocks)


def _by_occlusion(models: Sequence[tuple[str, str, list[Measured]]], found: Findings) -> list[Any]:
    ranges = models[0][2][0].people.by_visibility() if found.dataset.has_visible_boxes else []
    peopled = [(label, number) for label, number, _ in ranges if number]
    if len(peopled) > 1:
        rows, counts, chart = _by(models, "by_visibility", "AP50 by visibility")
        table = Table(["", *counts], rows, "AP50 by visible share; in brackets the people.")
        return [Charts([("AP50 by visible share", chart)]), table]
    if peopled:
        label, number = peopled[0]
        why = f"by these labels all {number} people are {label}"
    else:
        why = "these labels do not say which part of a person is visible"
    return [
        Text(
            f"By occlusion nothing can be told: {why}. CityPersons, CrowdHuman and KAIST tell more."
        )
    ]


def _models(groups: Sequence[RunGroup], found: Findings) -> list[tuple[str, str, list[Measured]]]:
    rows = [] if found.teacher is None else [("teacher", "teacher", [found.teacher])]
    for number, group in enumerate(groups):
        several = [one for _, one in found.of(group)]
        if several:
            rows.append((group.name, style_of(number), several))
    return rows


def _by(models: Sequence[tuple[str, str, list[Measured]]], what: str, title: str) -> Any:
    """Average AP by range; returns rows of a table, its headings, and a chart."""
    rows, bars, counts, names = [], [], [], []
    for name, style, several in models:
        tables = [getattr(one.people, what)() for one in several]
        values = [_mean([table[n][2] for table in tables]) for n in range(len(tables[0]))]
        counts = [f"{label} ({number})" for label, number, _ in tables[0]]
        names = [label for label, _, _ in tables[0]]
        rows.append([name, *("-" if v is None else f"{v:.3f}" for v in values)])
        bars.append((name, style, values))
    return rows, counts, bar_chart(title, names, bars, Axis("AP50"))


def _mean(values: Sequence[float | None]) -> float | None:
    """Average, without what does not exist; pycocotools writes -1 for that."""
    known = [v for v in values if v is not None and math.isfinite(v) and v >= 0]
    return statistics.fmean(known) if known else None


def calibration(groups: Sequence[RunGroup], found: Findings) -> Section:
    """Draw how often detections of a score are right."""
    lines = [Series("as sure as right", [(0.0, 0.0), (1.0, 1.0)], "guide", dashed=True)]
    rows = []
    for name, style, several in _models(groups, found):
        one = reliability(measured.people for measured in several)
        lines.append(Series(name, _points(one), style, marks=True))
        error = "-" if math.isnan(one.error) else f"{one.error:.3f}"
        rows.append([name, f"{int(one.numbers.sum()):,}", error])
    x, y = Axis("mean score", 0.0, 1.0), Axis("share that is right", 0.0, 1.0)
    chart = line_chart("reliability diagram", lines, x, y)
    blocks: list[Any] = [
        Charts([("reliability diagram", chart)], group_legend(groups, found.teacher is not None)),
        Table(["", "detections", "calibration error"], rows),
    ]
    lead = (
        "Detections of a score of 0.05 and more, in ten bins: the mean score of a bin, and the "
        f"share of its detections that find a person (IoU {IOU:g}). On the broken line a score is "
        "a probability; below it a detector is too sure of itself. The calibration error averages "
        "the distance; a threshold that suits the teacher suits the student only where both lines "
        "agree."
    )
    return Section("calibration", "Calibration", lead, blocks)


def _points(one: Reliability) -> list[tuple[float, float]]:
    return list(zip(one.scores.tolist(), one.precisions.tolist(), strict=True))
