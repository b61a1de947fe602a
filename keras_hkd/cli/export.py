"""`keras-hkd export`: a trained detector as a file for phones and other runtimes."""

import dataclasses
import pathlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from keras_hkd.cli import options
from keras_hkd.cli.console import figures, messages, print_json
from keras_hkd.cli.datasets import read_images
from keras_hkd.cli.image_size import ImageSize, parse_image_size
from keras_hkd.cli.model_files import check_model_file
from keras_hkd.errors import InvalidValueError

ORDER = 90

ModelFile = Annotated[
    pathlib.Path,
    typer.Argument(
        metavar="MODEL", help="A detector's .keras file, or a preset.", show_default=False
    ),
]
OutFile = Annotated[
    pathlib.Path,
    typer.Argument(
        metavar="FILE",
        help="What to write: .tflite, .onnx, or a folder for a SavedModel.",
        show_default=False,
    ),
]
Quantization = Annotated[
    Literal["float32", "float16", "dynamic", "int8", "int16x8"],
    typer.Option("--quantization", help="Precision of a .tflite file."),
]
InputType = Annotated[
    Literal["uint8", "int8", "float32"] | None,
    typer.Option(
        "--input-type",
        help="Type of the image of an int8 file; uint8 by default.",
        show_default=False,
    ),
]
BatchSize = Annotated[
    int,
    typer.Option(
        "--batch-size",
        min=0,
        help="Images at a time of an .onnx file with --no-nms; 0 for any number.",
    ),
]
Representative = Annotated[
    str | None,
    typer.Option(
        "--representative",
        metavar="FOLDER or PATH[:SPLIT]",
        help="For int8 and int16x8: images of the kind that the file will see; a folder of images, "
        "or labelled images as `--data` takes them.",
        show_default=False,
    ),
]
GateData = Annotated[
    list[str] | None,
    typer.Option(
        "--data",
        metavar="PATH[:SPLIT]",
        help="Labelled images to measure AP on before the file is written. May be repeated.",
        show_default=False,
    ),
]
MaxDrop = Annotated[
    float, typer.Option("--max-drop", min=0, max=1, help="Largest loss of AP that passes.")
]
Force = Annotated[bool, typer.Option("--force", help="Write the file although AP drops more.")]
Nms = Annotated[
    bool,
    typer.Option("--nms/--no-nms", help="Decode and suppress in the file, or leave raw heads."),
]
MaxDetections = Annotated[int, typer.Option("--max-detections", min=1)]
ScoreThreshold = Annotated[
    float | None,
    typer.Option(
        "--score-threshold", min=0, max=1, help="By default the detector's.", show_default=False
    ),
]
IouThreshold = Annotated[
    float | None,
    typer.Option(
        "--iou-threshold", min=0, max=1, help="By default the detector's.", show_default=False
    ),
]
Name = Annotated[str, typer.Option("--name", help="Metadata of a .tflite file.")]
Description = Annotated[str, typer.Option("--description", help="Metadata.")]
ModelVersion = Annotated[str, typer.Option("--model-version", help="Metadata.")]
Author = Annotated[str, typer.Option("--author", help="Metadata.")]
License = Annotated[str, typer.Option("--license", help="Metadata.")]


MAX_DROP = 0.01
CARD = {
    "name": "Pedestrian detector",
    "description": "Finds people in photographs.",
    "version": "1",
    "author": "",
    "license": "",
}
"""What the metadata of a .tflite file say by default."""


def command(
    model: ModelFile,
    file: OutFile,
    quantization: Quantization = "float32",
    representative: Representative = None,
    input_type: InputType = None,
    batch_size: BatchSize = 1,
    person_class: options.PersonClass = None,
    image_size: ImageSize = None,
    nms: Nms = True,
    max_detections: MaxDetections = 100,
    score_threshold: ScoreThreshold = None,
    iou_threshold: IouThreshold = None,
    data: GateData = None,
    format: options.Format = None,
    classes: options.Classes = None,
    images: options.ImagesFolder = None,
    max_drop: MaxDrop = MAX_DROP,
    force: Force = False,
    name: Name = CARD["name"],
    description: Description = CARD["description"],
    model_version: ModelVersion = CARD["version"],
    author: Author = CARD["author"],
    license: License = CARD["license"],
    on_bad_data: options.OnBadData = "raise",
    json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Write a trained detector as TFLite, ONNX or SavedModel, checked against Keras.

    The file appears only once it has run and agreed with Keras; with --data, only if AP drops by no
    more than --max-drop.
    """
    size = parse_image_size(image_size)
    model = check_model_file(model)
    _check(file, quantization, representative, data)
    _check_input(file, quantization, input_type, batch_size)
    card = {
        "name": name,
        "description": description,
        "version": model_version,
        "author": author,
        "license": license,
    }
    _check_card(file, card)
    if not data and (force or max_drop != MAX_DROP):
        raise InvalidValueError(
            "`--force` and `--max-drop` are about the AP on labelled images: name some by --data"
        )
    common = {
        "image_size": size,
        "nms": nms,
        "max_detections": max_detections,
        "score_threshold": score_threshold,
        "iou_threshold": iou_threshold,
    }
    how: dict[str, Any] = {
        "format": format,
        "on_bad_data": on_bad_data,
        "classes": classes,
        "images": images,
    }
    dataset = read_images(data, **how) if data else None
    shown = None if representative is None else load_images(representative, how)
    detector = _load_detector(model, person_class)
    _check_ranges(detector, quantization, representative)
    if file.suffix != ".tflite":
        summary = _other(detector, file, common, batch_size or None)
    else:
        gate = _gate(detector, dataset, max_drop, force, shown)
        precision = None if quantization == "float32" else quantization
        with messages().status(f"Converting to {file.name}"):
            from keras_hkd.export import ModelCard, export_tflite

            report = export_tflite(
                detector, file, quantization=precision, representative_images=shown,
                input_type=input_type, card=ModelCard(**card), gate=gate, **common,
            )  # fmt: skip
        summary = dataclasses.asdict(report)
        if gate is not None:
            summary["gate"] = {k: v for k, v in gate.results.items() if k != "layers"}
            _warn(gate.results)
    _report(summary, json)


def _check_input(
    file: Path, quantization: str | None, input_type: str | None, batch_size: int
) -> None:
    if input_type is not None and quantization != "int8":
        raise InvalidValueError(
            "`--input-type` goes with `--quantization int8`. Received: --quantization "
            f"{quantization}"
        )
    if batch_size != 1 and file.suffix != ".onnx":
        raise InvalidValueError(
            "`--batch-size` goes with an .onnx file: a .tflite takes one image, a SavedModel any "
            f"number. Received: --batch-size {batch_size} for {file}"
        )


def _check(file: Path, quantization: str | None, representative: Any, data: Any) -> None:
    if file.suffix == ".tflite":
        if representative is not None and quantization not in ("int8", "int16x8"):
            raise InvalidValueError(
                "`--representative` goes with `--quantization int8` or `int16x8`. Received: "
                f"--quantization {quantization}"
            )
        return
    if file.suffix not in (".onnx", ""):
        raise InvalidValueError(
            "The file must end in .tflite or .onnx, or have no ending for a SavedModel folder. "
            f"Received: {file}"
        )
    if quantization != "float32" or representative is not None or data:
        raise InvalidValueError(
            "`--quantization`, `--representative` and `--data` go with a .tflite file. Received: "
            f"{file}"
        )


def _check_card(file: Path, card: Mapping[str, str]) -> None:
    given = [name for name, value in card.items() if value != CARD[name]]
    if given and file.suffix != ".tflite":
        option = given[0].replace("version", "model-version")
        raise InvalidValueError(
            f"`--{option}` goes into the metadata of a .tflite file; others hold none. Received: "
            f"{file}"
        )


def _check_ranges(detector: Any, quantization: str | None, representative: Any) -> None:
    if quantization not in ("int8", "int16x8") or representative is not None:
        return
    from keras_hkd.compression import is_quantized

    if not is_quantized(detector):
        raise InvalidValueError(
            f"`--quantization {quantization}` needs `--representative FOLDER or PATH[:SPLIT]`: "
            "about 100 images of the kind that the file will see. Only a detector that was trained "
            "with `--quantize` needs none."
        )


def load_images(source: str, how: dict) -> Any:
    """Read the images that `--representative` names, as `keras_hkd.export` takes them.

    Args:
        source: a folder that holds images and nothing that labels them, which comes back as it is;
            or labelled images.
        how: options of `read_images`.
    """
    from keras_hkd.data.image_files import SUFFIXES
    from keras_hkd.data.loading import is_dataset

    def holds_pictures(paths: Iterable[Path]) -> bool:
        return any(path.suffix.lower() in SUFFIXES for path in paths)

    folder = pathlib.Path(source)
    if folder.is_dir() and (
        holds_pictures(folder.iterdir())
        or (not is_dataset(source) and holds_pictures(folder.rglob("*")))
    ):
        return folder
    if folder.is_dir() and not is_dataset(source):
        raise InvalidValueError(f"There is no image in {source}. Expected a folder of pictures.")
    return read_images([source], **how)


def _load_detector(model: Any, person_class: int | None) -> Any:
    from keras_hkd.detectors import load_detector

    with messages().status(f"Loading {model.name}"):
        return load_detector(model, **options.person_class_options(person_class))


def _gate(detector: Any, dataset: Any, max_drop: float, force: bool, images: Any) -> Any:
    if dataset is None:
        return None
    from keras_hkd.evaluation.average_precision_gate import AveragePrecisionGate

    return AveragePrecisionGate(detector, dataset, max_drop, force, images)


def _other(detector: Any, file: Path, common: Mapping[str, Any], batch_size: int | None) -> dict:
    from keras_hkd import export

    if file.suffix == ".onnx":
        return dataclasses.asdict(
            export.export_onnx(detector, file, batch_size=batch_size, **common)
        )
    differences = export.export_saved_model(detector, file, **common)
    return {"path": file, "largest_differences": differences}


def _warn(results: Any) -> None:
    if not results["passed"]:
        messages().print(
            f"Forced: AP falls from {results['AP_keras']:.4f} to {results['AP_file']:.4f}.",
            style="yellow",
        )


def _report(summary: dict, json: bool) -> None:
    if json:
        print_json(summary)
        return
    import rich.table

    table = rich.table.Table(show_header=False)
    for name, value in summary.items():
        if isinstance(value, dict):
            value = ", ".join(f"{k} {_shown(v)}" for k, v in value.items())
        table.add_row(name.replace("_", " "), _shown(value))
    figures().print(table)


def _shown(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
