"""One page about runs: what distillation gained, at what cost, and what is still missed."""

from __future__ import annotations

import importlib.resources
import math
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup, escape

import keras_hkd
from keras_hkd import metrics
from keras_hkd.atomic_write import write_text
from keras_hkd.checks import whole
from keras_hkd.data.batches.letterbox import Letterbox
from keras_hkd.data.dataset import Dataset
from keras_hkd.logs import silenced
from keras_hkd.report import (
    curve_sections,
    gradient_section,
    loss_section,
    picture_sections,
    run_sections,
)
from keras_hkd.report.detection_curves import People, miss_rate
from keras_hkd.report.findings import Findings, Measured
from keras_hkd.report.page_blocks import Section, Shot
from keras_hkd.report.run_records import RunGroup, RunRecord, group_runs, read_run

_DATA_SECTIONS = {
    "detection": "Precision, recall, miss rate",
    "subsets": "By size and occlusion",
    "calibration": "Calibration",
    "missed": "What the student misses and the teacher finds",
    "attention": "Where they look",
    "losses": "What the losses see",
}
_NO_DATA = (
    "This needs labelled images, which the folders of runs do not hold: give them with --data "
    "(`data=` in Python)."
)
_NOT_DETECTORS = "These runs train classifiers, which find no boxes."
_NUM_ATTENTION = 16
_SIZES = ("AP_small", "AP_medium", "AP_large")


def write_report(
    runs: Sequence[str | os.PathLike],
    path: str | os.PathLike,
    *,
    data: Dataset | None = None,
    teacher: Any = None,
    title: str = "Distillation report",
    num_pictures: int = 12,
    batch_size: int = 16,
    progress: bool = True,
) -> dict[str, str]:
    """Write one HTML page about runs, which needs no other file and no network.

    Runs that differ by their seed alone are one row: mean, deviation, and a paired test against the
    student trained alone. A section for which there is no information says so.

    Args:
        runs: folders that `keras-hkd train`, `keras-hkd distill` or `RunFolder` wrote.
        path: the HTML file; its folder is made if need be.
        data: labelled images on which every student, and the teacher, are measured anew: curves,
            sizes, calibration and pictures need them. They should be none of those trained on.
        teacher: the teacher, a detector, for what the student misses and where both look.
        title: heading of the page.
        num_pictures: most pictures of missed people; a third as many of attention.
        batch_size: images at a time.
        progress: show a progress bar on the error stream if it is a terminal.

    Returns:
        The title of every section -> "written", or the sentence that says why it is empty.

    Raises:
        FileNotFoundError: a folder holds no run.
        ValueError: no run, a run twice, or a file in a run that cannot be read.

    Example:

    >>> import pathlib, tempfile
    >>> from keras_hkd.training import RunFolder
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> run = RunFolder(folder / "run", inputs={"detector": "yolo_v8_micro"})
    >>> run.begin({"settings": {"seed": 0, "epochs": 1}})
    >>> run.finish({"detector": {"AP": 0.2, "MR2": 0.6, "parameters": 1000}})
    >>> written = write_report([run.path], run.path / "report.html")
    >>> written["Comparison"], written["Calibration"][:22]
    ('written', 'This needs labelled im')
    """
    whole("num_pictures", num_pictures, low=1)
    groups = group_runs([read_run(run) for run in runs])
    found = None
    if data is not None and _detect(groups):
        found = measure_runs(groups, data, teacher, batch_size, progress)
    sections = make_sections(groups, found, data, num_pictures)
    write_text(path, render(title, groups, sections))
    return {section.title: section.absent or "written" for section in sections}


def make_sections(
    groups: Sequence[RunGroup],
    found: Findings | None,
    data: Dataset | None = None,
    num_pictures: int = 12,
) -> list[Section]:
    """Make the sections of the page.

    Args:
        groups: the runs.
        found: what was measured on images, or None.
        data: these images, or None.
        num_pictures: see `write_report`.
    """
    scores, teacher, measured = _figures(groups, found)
    sections = [
        run_sections.comparison(groups, teacher, scores, measured),
        run_sections.training_curves(groups),
        gradient_section.gradient_shares(groups),
    ]
    if found is None or not found.students:
        absent = _NO_DATA if _detect(groups) else _NOT_DETECTORS
        absent = "No run among these holds a trained model." if found is not None else absent
        sections += [Section(id, name, absent=absent) for id, name in _DATA_SECTIONS.items()]
    else:
        sections += [
            curve_sections.curves(groups, found),
            curve_sections.subsets(groups, found),
            curve_sections.calibration(groups, found),
            picture_sections.missed(groups, found, num_pictures),
            picture_sections.feature_differences(groups, found, max(1, num_pictures // 3)),
            loss_section.losses_see(groups, found),
        ]
    hashes = [] if data is None else [("images of this report", data.content_hash)]
    sections += [
        run_sections.costs(groups, teacher, scores),
        run_sections.provenance(groups, hashes),
    ]
    return sections


def measure_runs(
    groups: Sequence[RunGroup],
    data: Dataset,
    teacher: Any = None,
    batch_size: int = 16,
    progress: bool = True,
) -> Findings:
    """Run every student, and the teacher, on labelled images.

    Args:
        groups: the runs; those without a trained model are left out.
        data: the images.
        teacher: a detector, or None.
        batch_size: images at a time.
        progress: show a progress bar on the error stream if it is a terminal.
    """
    from keras_hkd.detectors import load_detector

    how: dict[str, Any] = {"batch_size": batch_size, "progress": progress}
    students: dict[str, Measured] = {}
    pictures: dict[str, list[Shot]] = {}
    size = None
    for group in groups:
        for number, run in enumerate(run for run in group.runs if run.model_file is not None):
            detector = load_detector(run.model_file)
            size = size or run.image_size
            look = teacher is not None and number == 0
            students[str(run.path)] = _measured(detector, data, run.image_size, look, **how)
            if number == 0:
                pictures[group.name] = loss_section.loss_pictures(
                    group.name, teacher, detector, data, run.image_size
                )
    taught = None
    if teacher is not None:
        # One that is no network of ours, such as a .tflite file, has a size of its own.
        seen = size if hasattr(teacher, "check_image_size") else None
        taught = _measured(teacher, data, seen, True, **how)
    return Findings(data, students, taught, pictures)


def _measured(
    detector: Any,
    data: Dataset,
    size: tuple[int, int] | None,
    look: bool,
    batch_size: int,
    progress: bool,
) -> Measured:
    from keras_hkd import evaluation

    with silenced("tensorflow"):  # that it traces each model anew is as it should be
        results = evaluation.predict_dataset(detector, data, size, batch_size, progress)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", metrics.FewImagesWarning)  # the page says so
        scores = evaluation.score_predictions(data, results)
    scores.update({key: metrics.coco_average_precision(data, results)[key] for key in _SIZES})
    if hasattr(detector, "count_params"):
        scores["parameters"] = evaluation.count_parameters(detector)
    attention = _attention(detector, data, size) if look else {}
    return Measured(People.of(data, results), miss_rate(data, results), scores, attention)


def _attention(
    detector: Any, data: Dataset, size: tuple[int, int] | None
) -> dict[int, dict[str, np.ndarray]]:
    """Look at some images, spread evenly; maps are cut to what of the letterbox is photograph."""
    from keras_hkd.visualize import attention_maps

    if not getattr(detector, "levels", ()):
        return {}
    shape = size or detector.image_size
    maps = {}
    count = min(_NUM_ATTENTION, len(data))
    for place in np.linspace(0, len(data) - 1, count).round().astype(int).tolist():
        image = data.load_image(place)
        box = Letterbox.fit(image.shape[:2], shape)
        batch = box.resize(image, getattr(detector, "antialias", True))[None].astype(np.float32)
        found = attention_maps(detector, batch)
        maps[place] = {level: _within(one[0], box, shape) for level, one in found.items()}
    return maps


def _within(values: np.ndarray, box: Letterbox, shape: tuple[int, int]) -> np.ndarray:
    """Cut a map at the end of the photograph, which lies in the upper left of a letterbox."""
    rows, columns = (
        max(1, math.ceil(cells * content / side))
        for cells, content, side in zip(values.shape, box.content_size, shape, strict=True)
    )
    return values[:rows, :columns]


def _figures(
    groups: Sequence[RunGroup], found: Findings | None
) -> tuple[dict[str, Mapping[str, Any]], dict[str, Any], str]:
    """Return the figures of the students by path, the teacher's, and on what they were measured.

    Those on the images of the report are preferred, so that all are of the same images.
    """
    runs = [run for group in groups for run in group.runs]
    scores: dict[str, Mapping[str, Any]] = {str(run.path): run.student_results for run in runs}
    teacher = next((dict(run.teacher_results) for run in runs if run.teacher_results), {})
    if found is not None and found.students:
        costs = ("parameters", "gflops", "latency_ms")
        for run in runs:
            old = scores[str(run.path)]
            new = found.students.get(str(run.path))
            kept = {key: old[key] for key in costs if key in old}
            scores[str(run.path)] = {**kept, **new.scores} if new is not None else {}
        kept = {key: teacher[key] for key in costs if key in teacher}
        teacher = {} if found.teacher is None else {**kept, **found.teacher.scores}
        return scores, teacher, f"the {len(found.dataset)} images given to the report"
    return scores, teacher, _measured_on(runs)


def _measured_on(runs: Sequence[RunRecord]) -> str:
    finished = [run.metrics for run in runs if run.metrics]
    known = {(one.get("num_images"), one.get("measured_on")) for one in finished}
    hashes = {one["data_hash"] for one in finished if one.get("data_hash")}
    if len(known) > 1 or len(hashes) > 1:
        return (
            "different images by different runs, so that rows cannot be compared: give the same "
            "--data to all of them here"
        )
    number, what = next(iter(known), (None, None))
    return f"{number} images ({what}) at the end of each run" if number else "no images"


def _detect(groups: Sequence[RunGroup]) -> bool:
    """Tell whether the runs train detectors."""
    runs = [run for group in groups for run in group.runs]
    return not any("classifier" in run.inputs or "accuracy" in run.student_results for run in runs)


def render(title: str, groups: Sequence[RunGroup], sections: Sequence[Section]) -> str:
    """Write the page.

    Args:
        title: its heading.
        groups: the runs.
        sections: what it holds.

    Returns:
        HTML.
    """
    folder = importlib.resources.files("keras_hkd.report")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["inline_code"] = _inline_code
    template = environment.from_string((folder / "run_report.html").read_text("utf-8"))
    missing: dict[str, list[str]] = {}
    for section in sections:
        if section.absent:
            missing.setdefault(section.absent, []).append(section.title)
    return template.render(
        title=title,
        groups=groups,
        sections=[section for section in sections if not section.absent],
        missing=missing,
        version=keras_hkd.__version__,
    )


def _inline_code(text: str) -> Markup:
    """Write what stands between backticks as code."""
    return Markup(re.sub("`([^`]*)`", r"<code>\1</code>", str(escape(text))))
