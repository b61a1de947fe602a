"""Defines the options that several commands share.

A command names them in its signature:

    def command(data: options.Data, json: options.Json = False): ...
"""

import pathlib
from typing import Annotated, Any, Literal

import typer

from keras_hkd.cli.config_file import apply_config

Data = Annotated[
    list[str],
    typer.Option(
        "--data",
        metavar="PATH[:SPLIT]",
        help="Labelled images: a folder or an annotation file, a split of it, or "
        "`synthetic:train?num_images=200&seed=1`. May be repeated.",
    ),
]

Val = Annotated[
    list[str] | None,
    typer.Option(
        "--val",
        metavar="PATH[:SPLIT]",
        help="Labelled images to measure on while training. May be repeated.",
    ),
]

Format = Annotated[
    str | None,
    typer.Option("--format", help="The format of the data; recognised by default."),
]

Classes = Annotated[
    list[str] | None,
    typer.Option(
        "--class",
        metavar="[CLASS=]NAME[,NAME]",
        help="The class to detect, by its name in the data or its category id; several names, "
        "separated by commas, count as one class. May be repeated for more classes.",
        show_default="person, pedestrian, people, human",
    ),
]

ImagesFolder = Annotated[
    pathlib.Path | None,
    typer.Option(
        "--images",
        metavar="DIR",
        help="The folder of the images, where it is not beside the annotations.",
        show_default=False,
    ),
]

_SHARD: dict[str, Any] = {"metavar": "I/N", "show_default": False}
ShardOfImages = Annotated[
    str | None,
    typer.Option(
        "--shard",
        help="Take the I-th of N shares of the images, such as 2/8, and write it to --out; call "
        "the command once more without --shard when all are done.",
        **_SHARD,
    ),
]

OnBadData = Annotated[
    Literal["raise", "skip"],
    typer.Option(
        "--on-bad-data", help="Stop at the first faulty record, or skip, count and report them."
    ),
]

Out = Annotated[
    pathlib.Path, typer.Option("--out", metavar="DIR", help="The folder of the run's results.")
]

BatchSize = Annotated[int, typer.Option("--batch-size", min=1, help="Images at a time.")]

Json = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON object on standard output, nothing else."),
]

PersonClass = Annotated[
    int | None,
    typer.Option(
        "--person-class",
        min=0,
        metavar="NUMBER",
        help="Number of the class of a multi-class detector (of distill: the teacher) that is the "
        "person; the others are dropped. 0 in COCO's 80, 14 in Pascal VOC's 20.",
        show_default=False,
    ),
]

Config = Annotated[
    pathlib.Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        is_eager=True,
        callback=apply_config,
        help="A YAML file of options; those on the command line take precedence.",
    ),
]


def person_class_options(person_class: int | None) -> dict:
    """Return the options of `load_detector` that keep one class, as person.

    Args:
        person_class: what `--person-class` gave.

    Example:

    >>> person_class_options(0), person_class_options(None)
    ({'class_names': ('person',), 'class_indices': (0,)}, {})
    """
    if person_class is None:
        return {}
    return {"class_names": ("person",), "class_indices": (person_class,)}
