"""The sections of a report that need labelled images: curves, subsets, calibration, pictures."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_hkd.data.dataset import Dataset
from keras_hkd.metrics import MissRateCurve
from keras_hkd.report.detection_curves import IOU, People, Reliability, reliability
from keras_hkd.report.page_blocks import Charts, Mark, Pictures, Section, Shot, Table, Text, shot
from keras_hkd.report.run_records import RunGroup
from keras_hkd.report.run_sections import group_legend, style_of
from keras_hkd.report.svg_charts import Axis, Series, bar_chart, legend, line_chart

FALSE_PER_IMAGE = 0.1
"""False alarms per image at which detectors are set side by side in pictures."""
_COCO_SIZES = ("AP_small", "AP_medium", "AP_large")


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """What one detector found on the images of the report.

    Attributes:
        people: its detections, matched.
        miss_rate: its curve by CityPersons' rule "reasonable".
        scores: figures by name: AP, AP50, MR2, AP_small, ...
        attention: by position in the dataset the spatial attention of its pyramid, level -> map;
            {} for models whose maps were not looked at.
    """

    people: People
    miss_rate: MissRateCurve
    scores: Mapping[str, float]
    attention: Mapping[int, Mapping[str, np.ndarray]]


@dataclasses.dataclass(frozen=True, eq=False)
class Findings:
    """Everything that was measured on the images of the report.

    Attributes:
        dataset: the images.
        students: path of a run -> what its student found.
        teacher: what the teacher found, or None.
    """

    dataset: Dataset
    students: Mapping[str, Measured]
    teacher: Measured | None

    def of(self, group: RunGroup) -> list[tuple[str, Measured]]:
        """Return pairs of a seed, as words, and what was measured, for the runs of a group."""
        rows = [(f"seed {run.seed}", self.students.get(str(run.path))) for run in group.runs]
        return [(seed, one) for seed, one in rows if one is not None]


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
    if found.dataset.has_visible_boxes:
        rows, counts, chart = _by(models, "by_visibility", "AP50 by visibility")
        blocks.append(Charts([("AP50 by visible share", chart)]))
        blocks.append(Table(["", *counts], rows, "AP50 by visible share; in brackets the people."))
    else:
        blocks.append(
            Text(
                "By occlusion nothing can be told: these labels do not say which part of a person "
                "is visible. CityPersons, CrowdHuman and KAIST do."
            )
        )
    lead = (
        "AP over IoU 0.5 to 0.95 by COCO's areas: small is below 32 x 32 pixels, large above 96 x "
        "96. AP50 by height counts the people of a range alone; detections of others are left "
        "aside. Means over seeds."
    )
    return Section("subsets", "By size and occlusion", lead, blocks)


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
    blocks = [
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


def missed(groups: Sequence[RunGroup], found: Findings, num_pictures: int) -> Section:
    """Show people whom the teacher finds and the student misses."""
    title = "What the student misses and the teacher finds"
    if found.teacher is None:
        return Section("missed", title, absent=NO_TEACHER)
    teacher = found.teacher.people
    threshold = teacher.threshold_at(FALSE_PER_IMAGE)
    taught = teacher.found_from(threshold)
    counted = ~teacher.truth.ignore
    rows, shown = [], None
    for group in groups:
        for seed, one in found.of(group)[:1]:
            own = one.people.found_from(one.people.threshold_at(FALSE_PER_IMAGE))
            numbers = (taught & own, taught & ~own, ~taught & own, ~taught & ~own)
            rows.append(
                [f"{group.name}, {seed}", *(str(int((n & counted).sum())) for n in numbers)]
            )
            shown = (f"{group.name}, {seed}", one.people)
    if shown is None:
        return Section("missed", title, absent="No student of these runs could be run.")
    headings = ["", "both find", "teacher only", "student only", "neither"]
    blocks: list[Any] = [
        Table(headings, rows, f"Of {int(counted.sum())} people, all sizes together.")
    ]
    name, people = shown
    shots = _gallery(found, people, teacher, num_pictures)
    if shots:
        entries = [
            ("only-teacher", f"the teacher finds, {name} misses"),
            ("both", "both find"),
            ("only-student", "only the student finds"),
            ("neither", "neither finds"),
            ("false", "false alarm of the student"),
        ]
        blocks.append(Pictures(shots, legend(entries)))
    else:
        blocks.append(Text(f"{name} misses nobody whom the teacher finds."))
    lead = (
        f"Each detector at the score from which it raises {FALSE_PER_IMAGE:g} false alarms per "
        f"image, a person being found at an IoU of {IOU:g}. The pictures are those with the most "
        "people whom only the teacher finds."
    )
    return Section("missed", title, lead, blocks)


def ranked_by_misses(found: Findings, people: People) -> list[int]:
    """Return the images in which the teacher finds whom the student misses, most of them first.

    Args:
        found: what was measured, a teacher's as well.
        people: what the student found.

    Returns:
        Positions in `people.truth.image_ids`.
    """
    if found.teacher is None:
        return []
    only = _only_teacher(people, found.teacher.people)
    numbers = np.bincount(people.truth.image_index[only], minlength=people.truth.num_images)
    order = np.argsort(-numbers, kind="stable")
    return [int(number) for number in order if numbers[number]]


def _only_teacher(people: People, teacher: People) -> np.ndarray:
    own, taught = (one.found_from(one.threshold_at(FALSE_PER_IMAGE)) for one in (people, teacher))
    return taught & ~own & ~people.truth.ignore


def _gallery(found: Findings, people: People, teacher: People, count: int) -> list[Shot]:
    places = {annotation.image_id: number for number, annotation in enumerate(found.dataset)}
    threshold = people.threshold_at(FALSE_PER_IMAGE)
    own = people.found_from(threshold)
    taught = teacher.found_from(teacher.threshold_at(FALSE_PER_IMAGE))
    shots = []
    for number in ranked_by_misses(found, people)[:count]:
        place = places[people.truth.image_ids[number]]
        here = np.flatnonzero((people.truth.image_index == number) & ~people.truth.ignore)
        marks = []
        for row in here:
            style = _KINDS[bool(taught[row]), bool(own[row])]
            height = people.truth.heights[row]
            marks.append(Mark(tuple(people.truth.boxes[row].tolist()), *_told(style, height)))
        wrong = (people.found.image_index == number) & (people.matched < 0) & people.counts
        for row in np.flatnonzero(wrong & (people.found.scores >= threshold)):
            title = f"false alarm, score {people.found.scores[row]:.2f}"
            marks.append(Mark(tuple(people.found.boxes[row].tolist()), "false", title))
        only = [row for row in here if taught[row] and not own[row]]
        tall = ", ".join(f"{people.truth.heights[row]:.0f}" for row in only[:8])
        file = found.dataset[place].file_name or str(found.dataset[place].image_id)
        caption = f"{file}: {_people(len(only))} missed, {tall} px high"
        alt = f"{file} with boxes"
        shots.append(shot(found.dataset.load_image(place), alt, caption, marks))
    return shots


_KINDS = {
    (True, True): "both",
    (True, False): "only-teacher",
    (False, True): "only-student",
    (False, False): "neither",
}


def _told(style: str, height: float) -> tuple[str, str]:
    return style, f"{style.replace('-', ' ')}: {height:.0f} px high"


def _people(number: int) -> str:
    return "1 person" if number == 1 else f"{number} people"


def feature_differences(groups: Sequence[RunGroup], found: Findings, num_pictures: int) -> Section:
    """Show where teacher and students look, and where they look differently."""
    title = "Where they look"
    if found.teacher is None:
        return Section("attention", title, absent=NO_TEACHER)
    taught = found.teacher.attention
    models = [(g.name, rows[0][1].attention) for g in groups if (rows := found.of(g))]
    models = [(name, maps) for name, maps in models if maps]
    levels = _levels([taught, *(maps for _, maps in models)])
    if not taught or not models or not levels:
        absent = (
            "Teacher and students have no pyramid level in common whose maps could be compared."
        )
        return Section("attention", title, absent=absent)
    rows = []
    for name, maps in models:
        means = [
            statistics.fmean(agreement(taught[n][level], maps[n][level]) for n in taught)
            for level in levels
        ]
        rows.append([name, *(f"{mean:.3f}" for mean in means)])
    caption = f"Agreement with the teacher, mean over {len(taught)} images; 1 for the same map."
    blocks: list[Any] = [Table(["", *levels], rows, caption)]
    shots = []
    for place in list(taught)[:num_pictures]:
        shots += _attention_row(found.dataset, place, taught[place], models, levels[0])
    headings = ["picture", "teacher", *(name for name, _ in models)]
    headings += [f"teacher against {name}" for name, _ in models]
    blocks.append(Pictures(shots, columns=len(headings), headings=headings))
    lead = (
        "Spatial attention of the feature pyramid, as `keras_hkd.visualize.attention_maps` "
        "computes it: how strongly the channels of a cell respond, so that models of different "
        f"width can be compared. Of each group the first seed; the pictures show {levels[0]}, the "
        "finest common level. Bright is strong; in the last columns bright is where both look "
        "differently."
    )
    return Section("attention", title, lead, blocks)


def agreement(first: np.ndarray, second: np.ndarray) -> float:
    """Return the cosine between two attention maps; maps of other sizes are brought to the first's.

    Args:
        first: `(height, width)`.
        second: `(height, width)`.
    """
    second = _resized(second, first.shape)
    length = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float((first * second).sum()) / length if length else 0.0


def _levels(maps: Sequence[Mapping[int, Mapping[str, np.ndarray]]]) -> list[str]:
    firsts = [next(iter(one.values())) for one in maps if one]
    if not firsts:
        return []
    return [level for level in firsts[0] if all(level in one for one in firsts)]


def _attention_row(
    dataset: Dataset,
    place: int,
    taught: Mapping[str, np.ndarray],
    models: Sequence[tuple[str, Mapping[int, Mapping[str, np.ndarray]]]],
    level: str,
) -> list[Shot]:
    image = dataset.load_image(place)
    file = dataset[place].file_name or str(dataset[place].image_id)
    shots = [shot(image, file, file, most_px=240)]
    first = taught[level]
    maps = [_resized(one[place][level], first.shape) for _, one in models]
    largest = max(float(one.max()) for one in (first, *maps)) or 1.0
    for name, one in [("teacher", first), *zip([n for n, _ in models], maps, strict=True)]:
        alt = f"attention of {name} at {level}"
        shots.append(shot(heat(image, one / largest), alt, most_px=240))
    gaps = [np.abs(first - one) for one in maps]
    widest = max(float(gap.max()) for gap in gaps) or 1.0
    for (name, _), gap, one in zip(models, gaps, maps, strict=True):
        alt = f"difference of teacher and {name} at {level}"
        caption = f"agreement {agreement(first, one):.2f}"
        shots.append(shot(heat(image, gap / widest), alt, caption, most_px=240))
    return shots


def heat(image: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Lay a map in colours over a grey picture.

    Args:
        image: `(height, width, 3)` uint8.
        values: `(h, w)` in [0, 1], over the same extent.

    Returns:
        `(height, width, 3)` uint8.

    Example:

    >>> heat(np.zeros((4, 6, 3), np.uint8), np.ones((2, 3))).shape
    (4, 6, 3)
    """
    import matplotlib

    colours = matplotlib.colormaps["inferno"](np.clip(values, 0, 1))[..., :3] * 255
    height, width = image.shape[:2]
    rows = np.arange(height) * values.shape[0] // height
    columns = np.arange(width) * values.shape[1] // width
    grey = image.mean(axis=-1, keepdims=True)
    return (0.35 * grey + 0.65 * colours[rows][:, columns]).round().clip(0, 255).astype(np.uint8)


def _resized(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Bring a map to another number of cells, by the nearest."""
    if values.shape == shape:
        return values
    rows, columns = (
        np.arange(wanted) * had // wanted for wanted, had in zip(shape, values.shape, strict=True)
    )
    return values[rows][:, columns]


NO_DATA = (
    "This needs labelled images, which the folders of runs do not hold: give them with --data "
    "(`data=` in Python)."
)
NO_TEACHER = (
    "This needs the teacher, which the folders of runs do not hold: give its file or preset with "
    "--teacher (`teacher=` in Python), and labelled images with --data."
)
NOT_DETECTORS = "These runs train classifiers, which find no boxes."
