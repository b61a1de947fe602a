"""The sections of a report that show pictures: whom the student misses, where models look."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_hkd.data.dataset import Dataset
from keras_hkd.report.detection_curves import IOU, People
from keras_hkd.report.findings import Findings
from keras_hkd.report.page_blocks import Mark, Pictures, Section, Shot, Table, Text, shot
from keras_hkd.report.run_records import RunGroup
from keras_hkd.report.svg_charts import legend

FALSE_PER_IMAGE = 0.1
"""False alarms per image at which detectors are set side by side in pictures."""

NO_TEACHER = (
    "This needs the teacher, which the folders of runs do not hold: give its file or preset with "
    "--teacher (`teacher=` in Python), and labelled images with --data."
)


def missed(groups: Sequence[RunGroup], found: Findings, num_pictures: int) -> Section:
    """Show people whom the teacher finds and the student misses."""
    title = "What the student misses and the teacher finds"
    if found.teacher is None:
        return Section("missed", title, absent=NO_TEACHER)
    teacher = found.teacher.people
    threshold = teacher.threshold_at(FALSE_PER_IMAGE)
    taught = teacher.found_from(threshold)
    counted = ~teacher.truth.ignore
    rows: list[list[str]] = []
    shown: tuple[str, People] | None = None
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
            ("only-teacher", "the teacher finds, the student misses"),
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
        f"people whom only the teacher finds; the student there is {name}."
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
    models = [(g.name, one[0][1].attention) for g in groups if (one := found.of(g))]
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
