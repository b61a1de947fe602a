"""`keras-hkd convert`: labelled images of any known format as clean COCO JSON."""

import pathlib
from typing import Annotated, Any, Literal

import typer

from keras_hkd.cli import options
from keras_hkd.cli.console import figures, print_json, remark
from keras_hkd.cli.datasets import read_images

ORDER = 140

Source = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE...",
        help="Labelled images as `--data` takes them: a folder, an annotation file, or PATH:SPLIT. "
        "Several are joined.",
        show_default=False,
    ),
]
To = Annotated[Literal["coco"], typer.Option("--to", help="The format to write.")]
OutFile = Annotated[
    pathlib.Path,
    typer.Option("--out", metavar="FILE", help="What to write, .json or .json.gz."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")]
CopyImages = Annotated[
    bool,
    typer.Option("--copy-images", help="Also copy the pictures to a folder `images` beside FILE."),
]
CheckImages = Annotated[
    bool,
    typer.Option(
        "--check-images",
        help="Decode every picture first: one that is missing, damaged or of another size than "
        "stated is a faulty record.",
    ),
]
Classes = Annotated[
    list[str] | None,
    typer.Option(
        "--class",
        metavar="[CLASS=]NAME[,NAME]",
        help="Write this class alone, by its name in the data or the id of its category; several "
        "names, with commas between them, become one class. May be repeated for more classes.",
        show_default="every class",
    ),
]


def command(
    source: Source,
    out: OutFile,
    to: To = "coco",
    format: options.Format = None,
    classes: Classes = None,
    images: options.ImagesFolder = None,
    check_images: CheckImages = False,
    copy_images: CopyImages = False,
    overwrite: Overwrite = False,
    on_bad_data: options.OnBadData = "raise",
    json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Write labelled images of any known format as one clean COCO JSON file.

    keras-hkd convert crowdhuman/annotation_val.odgt --to coco --out people.json --class person

    keras-hkd convert voc_folder yolo_folder:train --class person --out all/annotations.json

    The first line says what was read: images, boxes by class, ignore regions, what was skipped and
    why. Boxes stay as annotated. Ids are the source's own where it has some; ignore regions are
    written as `ignore` and `iscrowd`, visible parts as `vis_bbox`, visible shares as `vis_ratio`,
    levels of occlusion as `occlusion`. Names of pictures count from the folder that holds them all,
    which is printed: other tools want it as their folder of images, `keras-hkd` as --images. The
    file is written whole or not at all.
    """
    from keras_hkd.data import save_coco
    from keras_hkd.data.coco_export import check_target

    check_target(out, overwrite)
    how: dict[str, Any] = {
        "format": format,
        "on_bad_data": on_bad_data,
        "classes": classes,
        "images": images,
    }
    dataset = read_images(source, **how, every_class=True, check_images=check_images)
    written = save_coco(dataset, out, overwrite=overwrite, copy_images=copy_images)
    for note in written.notes:
        remark(f"Note: {note}.")
    if written.num_missing:
        remark(
            f"Warning: {written.num_missing:,} of {len(dataset):,} pictures were not found; they "
            "are named as in the annotations. Name their folder by --images."
        )
    _report(dataset, written, json)


def _report(dataset: Any, written: Any, json: bool) -> None:
    from keras_hkd.data.summary import counts_by_class

    summary = {
        "file": str(written.path),
        "images": len(dataset),
        "boxes": dataset.num_boxes,
        "classes": counts_by_class(dataset, dataset.class_names),
        "ignore_regions": sum(int(one.ignore.sum()) for one in dataset),
        "skipped": len(dataset.skipped),
        "images_folder": written.images_folder or None,
        "images_without_picture": written.num_missing,
        "notes": [*dataset.findings.notes, *written.notes],
    }
    if json:
        print_json(summary)
        return
    import rich.table

    table = rich.table.Table(show_header=False)
    table.add_column("", no_wrap=True)
    table.add_column("", overflow="fold")
    for name in ("file", "images", "boxes", "images_folder"):
        value = summary[name]
        if value is not None:
            shown = f"{value:,}" if isinstance(value, int) else value
            table.add_row(_LABELS.get(name, name), shown)
    figures().print(table)


_LABELS = {"images_folder": "names count from"}
