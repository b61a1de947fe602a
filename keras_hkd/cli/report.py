"""`keras-hkd report`: one HTML page about runs, with all that is needed to judge them."""

import pathlib
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from keras_hkd.cli import options
from keras_hkd.cli.console import figures, print_json, remark
from keras_hkd.cli.datasets import read_images
from keras_hkd.errors import InvalidValueError

ORDER = 50

Runs = Annotated[
    list[pathlib.Path],
    typer.Argument(
        metavar="RUN...",
        help="Folders that `keras-hkd train` or `keras-hkd distill` wrote. Of several seeds give "
        "all: those that differ by the seed alone become one row.",
        show_default=False,
    ),
]
OutFile = Annotated[
    pathlib.Path, typer.Option("--out", metavar="FILE", help="The HTML file to write.")
]
Data = Annotated[
    list[str] | None,
    typer.Option(
        "--data",
        metavar="PATH[:SPLIT]",
        help="Labelled images to measure all students on anew: for curves, sizes, calibration and "
        "pictures. None of those trained on. May be repeated.",
        show_default=False,
    ),
]
Teacher = Annotated[
    str | None,
    typer.Option(
        "--teacher",
        metavar="FILE_OR_PRESET",
        help="The teacher, for what the student misses. By default the one that the runs name, "
        "where it is still there and unchanged.",
        show_default=False,
    ),
]
Title = Annotated[str, typer.Option("--title", help="The heading of the page.")]
NumPictures = Annotated[
    int, typer.Option("--num-pictures", min=1, max=200, help="Most pictures of missed people.")
]


def command(
    runs: Runs,
    out: OutFile,
    data: Data = None,
    teacher: Teacher = None,
    person_class: options.PersonClass = None,
    format: options.Format = None,
    classes: options.Classes = None,
    images: options.ImagesFolder = None,
    title: Title = "Distillation report",
    num_pictures: NumPictures = 12,
    batch_size: options.BatchSize = 16,
    on_bad_data: options.OnBadData = "raise",
    json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Write one HTML page about runs: gains, curves, costs, what is still missed.

    keras-hkd report runs/alone_* runs/distilled_* --data my_data:test --out report.html

    The page compares teacher, student alone and student distilled (mean and deviation over seeds,
    and a paired test), and shows training curves, gradient shares, precision, recall and miss rate,
    AP by size and occlusion, calibration, whom the student misses and the teacher finds, where both
    look, costs, and the commands, versions and hashes. It holds all its pictures and asks for
    nothing from a network. Without --data it shows what the runs recorded; sections that need more
    say so.
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise InvalidValueError(f"The page must end in .html or .htm. Received: --out {out}")
    from keras_hkd.report.run_records import group_runs, read_run

    records = [run for group in group_runs([read_run(run) for run in runs]) for run in group.runs]
    dataset = loaded = None
    if data:
        how: dict[str, Any] = {"format": format, "classes": classes, "images": images}
        dataset = read_images(data, on_bad_data=on_bad_data, **how)
        loaded = _teacher(teacher, records, person_class)
    elif teacher is not None:
        remark("Without --data the teacher has nothing to look at: --teacher is not used.")
    from keras_hkd.report import write_report

    written = write_report(
        runs,
        out,
        data=dataset,
        teacher=loaded,
        title=title,
        num_pictures=num_pictures,
        batch_size=batch_size,
    )
    if json:
        print_json({"page": str(out), "sections": written})
        return
    for name, state in written.items():
        if state != "written":
            remark(f"{name}: {state}")
    figures().print(f"See {out}", markup=False, highlight=False, soft_wrap=True)


def _teacher(given: str | None, records: Sequence[Any], person_class: int | None) -> Any:
    """Load the teacher that was given, or the one that the runs name if it is still the same."""
    from keras_hkd.cli.model_files import check_model_file, load_model_file
    from keras_hkd.zoo.catalogue import is_preset

    hashes = {run.record.get("teacher_hash") for run in records} - {None}
    names = dict.fromkeys(run.teacher_name for run in records if run.teacher_name)
    if given is None:
        there = [name for name in names if is_preset(name) or pathlib.Path(name).is_file()]
        if len(names) != 1 or not there:
            return None
    name = given or there[0]
    teacher = load_model_file(check_model_file(pathlib.Path(name)), person_class)
    same = not hashes or _hash(teacher) in hashes
    if given is None and not same:
        remark(
            f"The runs name the teacher {name}, whose weights are others now: it is left out. Give "
            "theirs with --teacher."
        )
        return None
    if not same:
        remark(f"Mind: {name} is not the teacher of these runs; its weights are others.")
    return teacher


def _hash(teacher: Any) -> str | None:
    from keras_hkd.distillation import weights_hash

    return weights_hash(teacher) if hasattr(teacher, "weights") else None
