"""`keras-hkd cache`: store the outputs of a teacher on the training images."""

import pathlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from keras_hkd.cli import method_arguments, options
from keras_hkd.cli.console import figures, print_json, remark
from keras_hkd.cli.datasets import read_images
from keras_hkd.cli.image_size import ImageSize, parse_image_size
from keras_hkd.cli.model_files import check_model_file
from keras_hkd.errors import InvalidValueError
from keras_hkd.parts import Shard

ORDER = 20

DEFAULT_VIEWS = 4
OF_A_TEACHER = (
    *("mode", "views", "method", "method_option", "store", "feature_pooling", "feature_channels"),
    *("person_class", "batch_size", "seed", "shard", "shard_rows"),
)

Teacher = Annotated[
    pathlib.Path | None,
    typer.Option(
        "--teacher", metavar="FILE", help="A trained detector: a .keras file or a preset."
    ),
]
Detections = Annotated[
    pathlib.Path | None,
    typer.Option(
        "--detections",
        metavar="FILE",
        help="Instead of a teacher: detections of any program in the images, as COCO results.",
        exists=True,
    ),
]
Categories = Annotated[
    list[str] | None,
    typer.Option(
        "--category",
        metavar="ID=CLASS",
        help="With --detections: which category of the file is which class, such as 0=person. May "
        "be repeated; by default 1 is the first class of the images, 2 the second, and so on.",
        show_default=False,
    ),
]
Mode = Annotated[
    Literal["exact", "replay"],
    typer.Option(
        "--mode",
        help="exact: the teacher's outputs on the augmented images of the training. replay: its "
        "boxes and scores on the original images, moved as these are augmented.",
    ),
]
Views = Annotated[
    int | None,
    typer.Option(
        "--views",
        min=0,
        help="With --mode exact: views of each image that training will show in turn; 0 for "
        "training with --no-augment.",
        show_default=f"{DEFAULT_VIEWS}",
    ),
]
Store = Annotated[
    list[str] | None,
    typer.Option(
        "--store",
        metavar="NAME",
        help="Outputs to store beside detections: class_logits, box_outputs, pyramid, class_tower; "
        "by default what --method reads. May be repeated.",
        show_default=False,
    ),
]
Pooling = Annotated[
    int,
    typer.Option("--feature-pooling", min=1, help="Store means over squares of this many cells."),
]
Channels = Annotated[
    int | None,
    typer.Option(
        "--feature-channels", min=1, help="Number of principal components of the maps to store."
    ),
]
Method = Annotated[
    str,
    typer.Option(
        "--method",
        help="The method that will read the cache: "
        f"{method_arguments.names_where(method_arguments.reads_cache)}.",
    ),
]
BatchSize = Annotated[
    int, typer.Option("--batch-size", min=1, help="Images per batch of the teacher.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of the views that are stored.")]
ShardRows = Annotated[
    int | None,
    typer.Option(
        "--shard-rows",
        min=1,
        help="Images in one file of the cache: shares of --shard are whole files.",
        show_default="as many as 64 MiB hold, more where there would be over 64 files",
    ),
]


def command(
    context: typer.Context,
    data: options.Data,
    out: options.Out,
    teacher: Teacher = None,
    detections: Detections = None,
    category: Categories = None,
    mode: Mode = "exact",
    views: Views = None,
    method: Method = "hkd",
    method_option: method_arguments.MethodOption = None,
    store: Store = None,
    feature_pooling: Pooling = 1,
    feature_channels: Channels = None,
    person_class: options.PersonClass = None,
    image_size: ImageSize = None,
    batch_size: BatchSize = 16,
    seed: Seed = 0,
    shard: options.ShardOfImages = None,
    shard_rows: ShardRows = None,
    format: options.Format = None,
    classes: options.Classes = None,
    images: options.ImagesFolder = None,
    on_bad_data: options.OnBadData = "raise",
    json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Run a teacher over the training images once and store its outputs.

    `keras-hkd distill --teacher-cache DIR` then trains without running it. Called again, it
    computes what is missing or damaged; a folder that holds another cache is refused.

    Of millions of images several processes take a share each, into one folder: --shard 1/4 to
    --shard 4/4. The same command without --shard then checks all files and finishes the cache.
    """
    share, size = Shard.parse(shard), parse_image_size(image_size)
    category_ids = _category_ids(category)
    teacher = _checked_teacher(context, teacher, detections, category_ids, size)
    method_arguments.check_teachers(method, None, teacher_cache=out)
    from keras_hkd.teacher_cache import TeacherCache

    how: dict[str, Any] = {"format": format, "on_bad_data": on_bad_data, "images": images}
    dataset = read_images(data, classes=classes, **how)
    if detections is not None:
        cache = TeacherCache.from_detections(
            detections, dataset, out, image_size=size, category_ids=category_ids
        )
    else:
        chosen = method_arguments.parse_options(method_option or [])
        what = _what(teacher, person_class, mode, store, method, chosen)
        cache = TeacherCache.build(
            what.pop("teacher"),
            dataset,
            out,
            image_size=size,
            mode=mode,
            views=_num_views(views, mode),
            seed=seed,
            batch_size=batch_size,
            feature_pooling=feature_pooling,
            feature_channels=feature_channels,
            shard_rows=shard_rows,
            shard=share,
            **what,
        )
    if share is not None:
        _report_share(cache, share, json)
        return
    _report(cache, json)


def _num_views(views: int | None, mode: str) -> int:
    if views is None:
        return DEFAULT_VIEWS if mode == "exact" else 0
    return views


def _checked_teacher(
    context: typer.Context,
    teacher: Path | None,
    detections: Path | None,
    category_ids: dict[int, str] | None,
    size: tuple[int, int] | None,
) -> Path | None:
    """Refuse both sources or none, and options of one beside the other; return the teacher."""
    if (teacher is None) == (detections is None):
        raise InvalidValueError(
            "Give --teacher, or --detections in its place. "
            f"Received: {'neither' if teacher is None else 'both'}"
        )
    if teacher is not None:
        if category_ids:
            raise InvalidValueError(
                "--category belongs to --detections: a teacher knows its own classes. "
                "Received: --category and no --detections"
            )
        return check_model_file(teacher)
    _check_nothing_is_left_out(context)
    if size is None:
        raise InvalidValueError(
            "--detections needs --image-size, the size of the training. Received: no --image-size"
        )
    return None


def _category_ids(words: Any) -> dict[int, str] | None:
    """Parse `0=person` to `{0: "person"}`; None if nothing is given."""
    found = {}
    for word in words or ():
        number, _, name = word.partition("=")
        if not number.strip().isdecimal() or not name.strip():
            raise InvalidValueError(
                f"--category must be ID=CLASS, such as 0=person. Received: {word!r}"
            )
        found[int(number)] = name.strip()
    return found or None


def _check_nothing_is_left_out(context: typer.Context) -> None:
    """Refuse options that say what a teacher is asked, where none is."""
    given = {
        name
        for name in OF_A_TEACHER
        if getattr(context.get_parameter_source(name), "name", None) != "DEFAULT"
    }
    if given:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(given))
        raise InvalidValueError(
            f"With --detections no teacher runs, and {names} would change nothing: leave it out."
        )


def _what(
    file: Path | None,
    person_class: int | None,
    mode: Any,
    store: Any,
    method: str,
    method_options: Mapping[str, Any],
) -> dict:
    """Load the teacher and choose which of its outputs are stored."""
    from keras_hkd.detectors import load_detector

    of_many = options.person_class_options(person_class)
    teacher = load_detector(file, **of_many)
    if mode == "replay" or store:
        return {"teacher": teacher, "outputs": tuple(store or ())}
    # A copy stands for a student: which outputs a method reads does not depend on who learns.
    student = load_detector(file, **of_many)
    distiller, _ = method_arguments.make_distiller(method, teacher, student, method_options)
    return {"teacher": teacher, "hierarchies": distiller.distillation_losses}


def _report_share(cache: Any, share: Shard, json: bool) -> None:
    files = share.of(cache.shards.count)
    facts = {
        "out": str(cache.folder),
        "shard": str(share),
        "num_files": len(files),
        "num_files_of_all": cache.shards.count,
    }
    if json:
        print_json(facts)
    elif files:
        remark(
            f"Shard {share}: {len(files)} of the {cache.shards.count} files of {cache.folder} are "
            "whole. When all shards are done, call the command once more without --shard."
        )
    else:
        remark(
            f"Shard {share}: nothing to do, the cache has {cache.shards.count} file(s). Smaller "
            "ones (--shard-rows) can be shared among more processes."
        )


def _report(cache: Any, json: bool) -> None:
    facts = {
        "out": str(cache.folder),
        "mode": cache.mode,
        "views": 0 if cache.views is None else cache.views.count,
        "num_images": cache.num_images,
        "num_bytes": cache.num_bytes,
        "num_shards": cache.shards.count,
        "stored": [field.name for field in cache.row_format.fields],
        "teacher_hash": cache.teacher_hash,
        "report": cache.report,
    }
    if json:
        print_json(facts)
        return
    import rich.table

    table = rich.table.Table(show_header=False)
    table.add_row("images", f"{cache.num_images}, {facts['views'] or 1} view(s) each")
    table.add_row("stored", ", ".join(facts["stored"]))
    table.add_row("on disk", f"{cache.num_bytes / 1e6:.1f} MB in {cache.shards.count} file(s)")
    other = cache.report.get("num_results_of_other_images_or_classes")
    if other:
        table.add_row("left out", f"{other} results of other images or classes")
    for name, value in _differences(cache.report):
        table.add_row(name, "none to compare" if value is None else f"{value:.4g}")
    figures().print(table)
    figures().print(f"Written to {cache.folder}", markup=False, highlight=False, soft_wrap=True)


def _differences(report: Any) -> Iterator[tuple[str, Any]]:
    for name, value in report.get("exact", {}).items():
        yield f"difference to live: {name}", value
    for name, value in report.get("replay", {}).items():
        yield f"replayed against live: {name}", value
