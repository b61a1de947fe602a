"""`keras-hkd import-rtmdet`: an ONNX export of RTMDet as a detector that can be trained."""

import pathlib
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from keras_hkd.cli import options
from keras_hkd.cli.console import figures, messages, print_json
from keras_hkd.cli.image_size import ImageSize, parse_image_size
from keras_hkd.errors import InvalidValueError, NotAFileError
from keras_hkd.zoo.cards import size_text

ORDER = 110

MAX_STATISTICS = 256  # photographs; more change little

OnnxFile = Annotated[
    pathlib.Path,
    typer.Argument(
        metavar="FILE.onnx",
        help="An export of RTMDet, of any size: raw heads, or suppression, which is cut off.",
        show_default=False,
    ),
]
OutFile = Annotated[
    pathlib.Path,
    typer.Option(
        "--out",
        metavar="FOLDER or FILE.keras",
        help="What to write; in a folder the file takes the name of the ONNX file.",
    ),
]
Statistics = Annotated[
    str | None,
    typer.Option(
        "--statistics",
        metavar="FOLDER or PATH[:SPLIT]",
        help="Photographs of the kind that it will be trained on, of which 256 are read: a folder "
        "of images, or labelled images as `--data` takes them. BatchNorm, which exports fold away, "
        "gets their statistics, and the detector computes the same. Give them before you train, "
        "prune or distil it; to detect alone it needs none.",
        show_default=False,
    ),
]


def command(
    file: OnnxFile,
    out: OutFile,
    statistics: Statistics = None,
    image_size: ImageSize = None,
    person_class: options.PersonClass = None,
    format: options.Format = None,
    classes: options.Classes = None,
    images: options.ImagesFolder = None,
    on_bad_data: options.OnBadData = "raise",
    json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Read an ONNX export of RTMDet into a .keras detector, checked against onnxruntime.

    The published detectors of mmdetection and mmpose come as such files. The result detects,
    teaches and is fine-tuned, pruned, quantised and exported like any other detector:

    keras-hkd import-rtmdet rtmdet_nano_person.onnx --out nano.keras --statistics my_photos

    keras-hkd evaluate nano.keras --data my_data:test --image-size 416

    keras-hkd train --detector nano.keras --data my_data:train --epochs 20 --out runs/mine

    A file of another architecture, a damaged or quantised one, and one whose raw outputs differ
    from onnxruntime's by more than 1e-4 of their largest value is refused.
    """
    size = parse_image_size(image_size) or (320, 320)
    target = _target(out, file)
    from keras_hkd.detectors.adaptation import as_detector
    from keras_hkd.detectors.rtmdet.onnx_import import read_rtmdet

    with messages().status(f"Reading {file.name}"):
        found = read_rtmdet(file)
        how: dict[str, Any] = {
            "format": format,
            "on_bad_data": on_bad_data,
            "classes": classes,
            "images": images,
        }
        photographs = _photographs(statistics, size, how)
        detector = found.detector(image_size=size, images=photographs)
        detector = as_detector(detector, **options.person_class_options(person_class))
        detector.save(target)
    summary = {
        "path": target,
        "size": f"RTMDet-{found.size}",
        "classes": list(detector.class_names),
        "parameters": detector.count_params(),
        "largest_difference_from_onnxruntime": found.difference,
        "compared_at": size_text(found.compared_at) + " (of an open size)" * found.has_open_size,
        "photographs_of_statistics": 0 if photographs is None else len(photographs),
    }
    _report(summary, json)


def _target(out: Path, file: Path) -> pathlib.Path:
    """Return the path of the file to write."""
    if out.suffix == ".keras":
        if out.is_dir():
            raise NotAFileError(f"{out} is a folder; name a .keras file, or another folder.")
        return out
    if out.is_file():
        raise InvalidValueError(
            f"`--out` must be a folder or end in .keras. Received: {out}, which is a file"
        )
    return out / f"{file.stem}.keras"


def _photographs(source: Any, image_size: Any, how: dict[str, Any]) -> np.ndarray | None:
    if source is None:
        return None
    from keras_hkd.cli.export import load_images
    from keras_hkd.export.representative import representative_array

    images = load_images(source, how)
    return representative_array(images, image_size, MAX_STATISTICS, antialias=False)


def _report(summary: dict, json: bool) -> None:
    if json:
        print_json(summary)
        return
    import rich.table

    table = rich.table.Table(show_header=False)
    for name, value in summary.items():
        table.add_row(name.replace("_", " "), _shown(value))
    figures().print(table)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        most = 5
        return ", ".join(value[:most]) + (f", ... ({len(value)})" if len(value) > most else "")
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.1e}" if isinstance(value, float) else str(value)
