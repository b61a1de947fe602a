"""`keras-hkd check`: look for faults in labelled images before anything learns from them."""

import pathlib
from typing import Annotated, Any, Literal

import typer

from keras_hkd.cli import options
from keras_hkd.cli.console import figures, print_json
from keras_hkd.cli.datasets import read_images

ORDER = 130

Data = Annotated[
    list[str],
    typer.Argument(
        metavar="DATA...",
        help="Labelled images as `--data` takes them: a folder, an annotation file, or PATH:SPLIT. "
        "Of several, such as those to train and to validate with, pictures that are in two of them "
        "are named.",
        show_default=False,
    ),
]
OutFolder = Annotated[
    pathlib.Path, typer.Option("--out", metavar="DIR", help="The folder to write to.")
]
NumPictures = Annotated[
    int,
    typer.Option(
        "--num-pictures", min=1, max=400, help="Largest number of pictures on a contact sheet."
    ),
]
NearBits = Annotated[
    int,
    typer.Option(
        "--near-bits",
        min=0,
        max=64,
        help="Pictures are near-duplicates where hashes of their look differ in so many of 128 "
        "bits at most. More finds copies that were cut, and pictures that only look alike.",
    ),
]
OnBadData = Annotated[
    Literal["raise", "skip"],
    typer.Option(
        "--on-bad-data",
        help="Skip faulty records, count and report them, or stop at the first one.",
    ),
]


def command(
    data: Data,
    out: OutFolder,
    format: options.Format = None,
    classes: options.Classes = None,
    images: options.ImagesFolder = None,
    num_pictures: NumPictures = 24,
    near_bits: NearBits = 10,
    on_bad_data: OnBadData = "skip",
    json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Look for faults in labelled images: odd boxes, duplicates, sizes, and a contact sheet.

    keras-hkd check my_data --out checked

    keras-hkd check my_data:train my_data:val --out checked

    Every picture is decoded. What is looked for: records that cannot be used; pictures that are
    there twice, by their bytes or by their look, and across training and validation; boxes of no
    area, outside, tiny, very long, as large as the picture, on one another, or at the same
    place in many pictures. Nothing is changed: what is odd may be right, and the page
    DIR/index.html shows it. DIR/check.json lists all of it. Finding faults is no failure: the exit
    code is 0.
    """
    how: dict[str, Any] = {
        "format": format,
        "on_bad_data": on_bad_data,
        "classes": classes,
        "images": images,
    }
    from keras_hkd.report.dataset_check import check_dataset, require_free

    require_free(out)
    datasets = [read_images(one, **how) for one in data]
    found = check_dataset(datasets, out, num_pictures=num_pictures, near_bits=near_bits)
    _report(found, out, json)


def _report(found: dict, out: pathlib.Path, json: bool) -> None:
    from keras_hkd.report.dataset_page import overview

    if json:
        names = ("images", "images_without_boxes", "boxes", "classes", "ignore_regions")
        counts = {name: found[name] for name in names}
        counts["skipped"] = len(found["skipped"])
        counts["duplicates"] = {kind: len(rows) for kind, rows in found["duplicates"].items()}
        counts["odd_boxes"] = {kind: one["count"] for kind, one in found["odd_boxes"].items()}
        print_json({**counts, "page": str(out / "index.html"), "details": str(out / "check.json")})
        return
    import rich.table

    table = rich.table.Table(show_header=False)
    table.add_column("", no_wrap=True)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for label, count, remark in overview(found):
        table.add_row(label, f"{count:,}", remark if count else "")
    figures().print(table)
    figures().print(f"See {out / 'index.html'}", markup=False, highlight=False, soft_wrap=True)
