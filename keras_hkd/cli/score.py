"""`keras-hkd score`: a ground-truth file and a detections file in, scores out; no model."""

import pathlib
import warnings
from typing import Annotated, Literal

import typer

from keras_hkd.cli import options
from keras_hkd.cli.console import figures, messages, print_json

GroundTruthFile = Annotated[
    pathlib.Path,
    typer.Argument(
        metavar="GROUND_TRUTH", help="COCO-style .json or .json.gz.", show_default=False
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
Category = Annotated[
    str | None,
    typer.Option(
        "--category",
        metavar="NAME_OR_ID",
        help="The one category to score. By default the person, or with coco all of them.",
        show_default=False,
    ),
]
IgnoreCategories = Annotated[
    bool,
    typer.Option("--ignore-categories", help="With coco: compare boxes whatever their category."),
]


def command(
    ground_truth: GroundTruthFile,
    detections: DetectionsFile,
    protocol: ProtocolName,
    category: Category = None,
    ignore_categories: IgnoreCategories = False,
    json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Score a detections file against a ground-truth file; needs no model.

    Miss rates (MR-2, lower is better) by subset for citypersons, kaist and caltech; average
    precision and recall for coco. All figures in JSON are fractions; null means that nobody counts.
    """
    from keras_hkd import metrics

    if ignore_categories and protocol != "coco":
        raise ValueError("`--ignore-categories` goes with --protocol coco only.")
    truth = metrics.read_ground_truth(ground_truth)
    found = metrics.read_detections(detections, truth)
    category_id = None if category is None else find_category(truth, category)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scores = _scores(truth, found, protocol, category_id, not ignore_categories)
    if protocol == "caltech":
        messages().print("The caltech protocol is unverified: no reference scores were at hand.")
    for warning in caught:
        messages().print(
            "Warning:", str(warning.message), style="yellow", markup=False, soft_wrap=True
        )
    if json:
        print_json(scores)
    else:
        _print_table(scores, protocol, truth.num_images, len(found))


def find_category(truth, category: str) -> int:
    """Id of a category of the ground truth.

    Args:
        truth: a `keras_hkd.metrics.GroundTruth`.
        category: its name or its id.

    Raises:
        ValueError: there is no such category.
    """
    names = dict(truth.category_names) or {int(i): str(i) for i in set(truth.category_ids)}
    for category_id, name in names.items():
        if category in (name, str(category_id)):
            return category_id
    listing = ", ".join(f"{name} ({i})" for i, name in sorted(names.items())[:90])
    raise ValueError(f"The ground truth has no category {category!r}; it has: {listing}.")


def _scores(truth, found, protocol, category_id, use_categories) -> dict[str, float]:
    from keras_hkd import metrics

    if protocol != "coco":
        return metrics.miss_rates(truth, found, protocol, category_id)
    category_ids = None if category_id is None else [category_id]
    return metrics.coco_average_precision(
        truth, found, category_ids=category_ids, use_categories=use_categories
    )


def _print_table(scores, protocol, num_images, num_detections) -> None:
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
