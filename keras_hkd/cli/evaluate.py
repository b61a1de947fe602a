"""`keras-hkd evaluate`: measure a detector or a classifier on labelled images."""

import pathlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from keras_hkd.cli import options
from keras_hkd.cli.console import figures, messages, print_json
from keras_hkd.cli.image_size import ImageSize, parse_image_size
from keras_hkd.cli.model_files import check_model_file, check_size_fits, load_model_file
from keras_hkd.cli.model_kinds import kind_of
from keras_hkd.cli.results_file import check_results_file
from keras_hkd.errors import InvalidValueError
from keras_hkd.json_files import write_json

ORDER = 60

ModelFile = Annotated[
    pathlib.Path,
    typer.Argument(
        metavar="MODEL",
        help="A detector's .keras or .tflite, a classifier's .keras, or a preset.",
        show_default=False,
    ),
]
ProtocolName = Annotated[
    Literal["citypersons", "kaist", "caltech"] | None,
    typer.Option("--protocol", help="Also give this benchmark's miss rates, subset by subset."),
]
Cost = Annotated[
    bool, typer.Option("--cost/--no-cost", help="Also measure GFLOPs and time per image.")
]
SaveDetections = Annotated[
    pathlib.Path | None,
    typer.Option(
        "--save-detections",
        metavar="FILE",
        help="Save the detections as COCO results with file names, which `score` takes.",
    ),
]


def command(
    model: ModelFile,
    data: options.Data,
    format: options.Format = None,
    classes: options.Classes = None,
    images: options.ImagesFolder = None,
    protocol: ProtocolName = None,
    person_class: options.PersonClass = None,
    image_size: ImageSize = None,
    batch_size: options.BatchSize = 16,
    cost: Cost = True,
    save_detections: SaveDetections = None,
    on_bad_data: options.OnBadData = "raise",
    json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Measure a detector or a classifier on labelled images.

    COCO average precision (AP, AP50, AP75), recall (AR100) and the log-average miss rate MR2 by
    CityPersons' rule "reasonable", where everybody counts as wholly visible if the data does not
    say. Of a classifier, on a folder of images per class: accuracy, its mean over classes, and the
    recall of each class. All are fractions in JSON.
    """
    size = parse_image_size(image_size)
    if save_detections is not None:
        check_results_file(save_detections, "--save-detections")
    model = check_model_file(model)
    how: dict[str, Any] = {
        "format": format,
        "on_bad_data": on_bad_data,
        "classes": classes,
        "images": images,
    }
    kind, dataset, loaded = _load(model, data, how, person_class)
    if kind.name == "classifier":
        _refuse_for_classifiers(
            protocol=protocol, save_detections=save_detections, person_class=person_class
        )
        found = _measure_classifier(loaded, dataset, size, batch_size, cost)
        _print(model.name, found, json)
        return
    detector = loaded
    check_size_fits(detector, size)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = _measure(detector, dataset, size, batch_size, protocol, cost, save_detections)
    _say_warnings(caught)
    _print(model.name, found, json)


def _print(name: str, found: Any, as_json: bool) -> None:
    if as_json:
        print_json(found)
    else:
        _print_table(name, found)


def _refuse_for_classifiers(**options: Any) -> None:
    for name, value in options.items():
        if value is not None:
            raise InvalidValueError(
                f"`--{name.replace('_', '-')}` is of detections, and a classifier makes none. "
                f"Received: {value}"
            )


def _measure_classifier(
    classifier: Any, dataset: Any, size: tuple[int, int] | None, batch_size: int, cost: bool
) -> dict:
    from keras_hkd import evaluation

    found = evaluation.evaluate_classifier(classifier, dataset, size, batch_size)
    found["num_skipped"] = len(dataset.skipped)
    if cost:
        with messages().status("Measuring the cost"):
            found.update(evaluation.measure_costs({"classifier": classifier}, size)["classifier"])
    return found


def _load(
    model: Any, data: Any, how: Mapping[str, Any], person_class: int | None
) -> tuple[Any, Any, Any]:
    """Read the data, then load the model, which takes longer."""
    kind = kind_of(model)
    dataset = kind.load_data(data, **how)
    if kind.name == "classifier":
        with messages().status(f"Loading {model.name}"):
            return kind, dataset, kind.load(model)
    return kind, dataset, load_model_file(model, person_class)


def _measure(
    detector: Any,
    dataset: Any,
    size: tuple[int, int] | None,
    batch_size: int,
    protocol: str | None,
    cost: bool,
    save_detections: Path | None,
) -> dict:
    from keras_hkd import evaluation

    evaluation.check_protocol(dataset, protocol)
    evaluation.warn_of_threshold(detector)
    results = evaluation.predict_dataset(detector, dataset, size, batch_size)
    if save_detections is not None:
        write_json(save_detections, _with_file_names(results, dataset), indent=None)
    found = evaluation.score_predictions(dataset, results, protocol)
    found["num_skipped"] = len(dataset.skipped)
    if hasattr(detector, "size_bytes"):  # a file, whose parameters nobody counts
        found["size_bytes"] = detector.size_bytes
        if cost:
            found.update(latency_ms=evaluation.measure_latency_ms({"file": detector}, size)["file"])
    elif cost:
        with messages().status("Measuring the cost"):
            found.update(evaluation.measure_costs({"detector": detector}, size)["detector"])
    else:
        found["parameters"] = evaluation.count_parameters(detector)
    return found


def _with_file_names(results: list[dict], dataset: Any) -> list[dict]:
    """Add names to results: of several sources the ids may be other ones than those of a file."""
    names = {one.image_id: one.name or one.file_name for one in dataset}
    if len(set(names.values())) < len(names):
        names = {one.image_id: one.image_path or names[one.image_id] for one in dataset}
    return [{**result, "file_name": names[result["image_id"]]} for result in results]


def _say_warnings(caught: Any) -> None:
    from keras_hkd.evaluation import ScoreThresholdWarning
    from keras_hkd.metrics import FewImagesWarning

    for warning in caught:
        if issubclass(warning.category, (FewImagesWarning, ScoreThresholdWarning)):
            messages().print(
                "Warning:", str(warning.message), style="yellow", markup=False, soft_wrap=True
            )


def _print_table(name: str, found: dict) -> None:
    import rich.table

    table = rich.table.Table(title=f"{name} on {found['num_images']} images", title_justify="left")
    table.add_column("")
    table.add_column("", justify="right")
    for key, value in found.items():
        if isinstance(value, dict):
            of = "recall" if key == "recall" else f"MR2 {key}"
            for part, fraction in value.items():
                table.add_row(f"{of} {part}", _shown(of, fraction))
        elif key != "num_images" and not (key == "num_skipped" and not value):
            table.add_row(_LABELS.get(key, key), _shown(key, value))
    figures().print(table)


_LABELS = {
    "gflops": "GFLOPs per image",
    "latency_ms": "time per image (ms)",
    "num_skipped": "skipped records",
    "size_bytes": "size (bytes)",
}


def _shown(key: str, value: Any) -> str:
    if value != value:
        return "nobody counts" if key != "gflops" else "not known"
    if key == "latency_ms":
        return f"{value:.1f}"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
