"""`keras-hkd score`: a ground-truth file and a detections file in, scores out; no model."""

import pathlib
import warnings
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import typer

from keras_hkd.cli import options
from keras_hkd.cli.console import figures, print_json, remark
from keras_hkd.cli.datasets import read_boxes, report_skipped, say
from keras_hkd.errors import InvalidValueError

ORDER = 150

GroundTruthFile = Annotated[
    str,
    typer.Argument(
        metavar="GROUND_TRUTH",
        help="Annotations as `--data` takes them: a file, a folder, or PATH:SPLIT.",
        show_default=False,
    ),
]
DetectionsFile = Annotated[
    pathlib.Path,
    typer.Argument(
        metavar="DETECTIONS",
        help="COCO results, .json or .json.gz; or KAIST's .txt or .txt.gz.",
        show_default=False,
    ),
]
ProtocolName = Annotated[
    Literal["citypersons", "kaist", "caltech", "coco"],
    typer.Option("--protocol", help="Whose rules: caltech is unverified.", show_default=False),
]
Classes = Annotated[
    list[str] | None,
    typer.Option(
        "--class",
        "--category",
        metavar="NAME[,NAME]",
        help="What the ground truth calls the class to score, or the id of a category; several "
        "names count as one class. May be repeated with coco. By default the person, or with coco "
        "every class.",
        show_default=False,
    ),
]
IgnoreCategories = Annotated[
    bool,
    typer.Option("--ignore-categories", help="Compare boxes whatever category results have."),
]

OnBadData = Annotated[
    Literal["raise", "skip"] | None,
    typer.Option(
        "--on-bad-data",
        help="Stop at the first faulty record, or skip, count and report them. By default stop at "
        "one of the ground truth, or a detection in an image that it has not, and skip detections "
        "without a sound box or score.",
        show_default=False,
    ),
]


def command(
    ground_truth: GroundTruthFile,
    detections: DetectionsFile,
    protocol: ProtocolName,
    classes: Classes = None,
    ignore_categories: IgnoreCategories = False,
    format: options.Format = None,
    images: options.ImagesFolder = None,
    on_bad_data: OnBadData = None,
    json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Score a detections file against a ground-truth file; needs no model.

    Miss rates (MR-2, lower is better) by subset for citypersons, kaist and caltech; average
    precision and recall for coco. All figures in JSON are fractions; null means that nobody counts.
    Results find their images by file_name where all have one that says which, else by image_id,
    else by image_id as a file's name.
    """
    from keras_hkd import metrics
    from keras_hkd.metrics.meeting import other_categories

    if protocol != "coco" and len(classes or ()) > 1:
        raise InvalidValueError(
            f"--protocol {protocol} scores one class. Received: --class {classes}"
        )
    wanted = classes or (None if protocol == "coco" else ["person"])
    strict = on_bad_data or "raise"
    how: dict[str, Any] = {
        "format": format,
        "images": images,
        "on_bad_data": strict,
        "classes": wanted,
    }
    truth = metrics.as_ground_truth(read_boxes(ground_truth, **how))
    found = metrics.read_detections(detections, truth, on_bad_data or "skip", strict)
    report_skipped(found.skipped)
    ids = tuple(truth.category_names) or tuple(sorted(set(truth.category_ids.tolist())))
    if ignore_categories and protocol != "coco":
        found = found.of_category(ids[0] if ids else 1)
    problem = None if ignore_categories else other_categories(truth, found, ids or None)
    if problem:
        raise InvalidValueError(problem)
    say(_summary(found, truth, ids))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scores = _scores(truth, found, protocol, ids, not ignore_categories)
    if protocol == "caltech":
        say("The caltech protocol is unverified: no reference scores were at hand.")
    for warning in caught:
        remark(f"Warning: {warning.message}")
    if json:
        print_json(scores)
    else:
        _print_table(scores, protocol, truth.num_images, len(found))


def _summary(found: Any, truth: Any, ids: Any) -> str:
    """Describe the detections in one line."""
    import numpy as np

    numbers, counts = np.unique(found.category_ids, return_counts=True)
    pairs = list(zip(numbers.tolist(), counts.tolist(), strict=True))
    scored = [f"{count:,} {truth.category_names.get(i, i)}" for i, count in pairs if i in ids]
    others = [(i, count) for i, count in pairs if i not in ids]
    num_images = len(np.unique(found.image_index))
    text = f"Scored {', '.join(scored[:5]) or 'no detection'}"
    text += f" and {len(scored) - 5} more classes" if len(scored) > 5 else ""
    text += f" in {num_images:,} of {truth.num_images:,} images"
    if others:
        shown = ", ".join(str(i) for i, _ in others[:10]) + (", ..." if len(others) > 10 else "")
        text += f"; left out {sum(n for _, n in others):,} of other categories ({shown})"
    return f"{text}; {len(found.skipped) or 'nothing'} skipped."


def _scores(
    truth: Any, found: Any, protocol: str, ids: Any, use_categories: bool
) -> dict[str, float]:
    from keras_hkd import metrics

    if protocol != "coco":
        return metrics.miss_rates(truth, found, protocol, ids[0] if ids else None)
    return metrics.coco_average_precision(truth, found, use_categories=use_categories)


def _print_table(
    scores: Mapping[str, Any], protocol: str, num_images: int, num_detections: int
) -> None:
    import rich.table

    is_miss_rate = protocol != "coco"
    title = f"{protocol}: {num_detections} detections in {num_images} images"
    table = rich.table.Table(title=title, title_justify="left")
    table.add_column("subset" if is_miss_rate else "score")
    table.add_column("MR-2 (%)" if is_miss_rate else "value", justify="right")
    for name, value in scores.items():
        shown = f"{100 * value:.2f}" if is_miss_rate else f"{value:.3f}"
        table.add_row(name, "nobody counts" if value != value else shown)
    figures().print(table)
