"""`keras-hkd compare`: two detectors on the same images, such as a student and its int8 file."""

import pathlib
import warnings
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from keras_hkd.cli import options
from keras_hkd.cli.console import figures, messages, print_json
from keras_hkd.cli.datasets import read_images
from keras_hkd.cli.image_size import ImageSize, parse_image_size
from keras_hkd.cli.model_files import (
    check_model_file,
    check_size_fits,
    load_model_file,
    size_bytes,
)
from keras_hkd.messages import told_apart

ORDER = 100

ModelA = Annotated[
    pathlib.Path,
    typer.Argument(
        metavar="MODEL_A",
        help="The reference: a .keras or .tflite file, or a preset.",
        show_default=False,
    ),
]
ModelB = Annotated[
    pathlib.Path,
    typer.Argument(
        metavar="MODEL_B",
        help="The model to compare with it: a .keras or .tflite file, or a preset.",
        show_default=False,
    ),
]
ScoreThreshold = Annotated[
    float,
    typer.Option(
        "--score-threshold", min=0, max=1, help="Lowest score of MODEL_A's boxes that are compared."
    ),
]
Repeats = Annotated[
    int, typer.Option("--repeats", min=0, help="Timed predictions of one image; 0 for none.")
]


def command(
    model_a: ModelA,
    model_b: ModelB,
    data: options.Data,
    format: options.Format = None,
    classes: options.Classes = None,
    images: options.ImagesFolder = None,
    image_size: ImageSize = None,
    batch_size: options.BatchSize = 16,
    score_threshold: ScoreThreshold = 0.3,
    repeats: Repeats = 10,
    on_bad_data: options.OnBadData = "raise",
    json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Compare two detectors: AP, MR-2, size, latency, and how far boxes and scores differ.

    Both see images of MODEL_B's size unless --image-size says otherwise. Latency is the median time
    of one image, as each file runs here: Keras compiled by TensorFlow, .tflite by LiteRT.
    """
    size = parse_image_size(image_size)
    model_a, model_b = (check_model_file(path) for path in (model_a, model_b))
    how: dict[str, Any] = {
        "format": format,
        "on_bad_data": on_bad_data,
        "classes": classes,
        "images": images,
    }
    dataset = read_images(data, **how)
    detectors = [load_model_file(path) for path in (model_a, model_b)]
    size = size or tuple(detectors[1].image_size)
    for detector in detectors:
        check_size_fits(detector, size)
    found = _compare(detectors, dataset, size, batch_size, score_threshold, repeats)
    files = (model_a, model_b)
    for key, name, path in zip("ab", told_apart(files), files, strict=True):
        found[key] = {"file": name, "size_bytes": size_bytes(path), **found[key]}
    if json:
        print_json(found)
    else:
        _print_tables(found, score_threshold)


def _compare(
    detectors: Sequence[Any],
    dataset: Any,
    size: tuple[int, int] | None,
    batch_size: int,
    score_threshold: float,
    repeats: int,
) -> dict:
    from keras_hkd.evaluation.comparison import compare_detectors
    from keras_hkd.metrics import FewImagesWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FewImagesWarning)
        found = compare_detectors(
            detectors[0], detectors[1], dataset, size, batch_size, score_threshold, repeats
        )
    for text in {str(w.message) for w in caught if issubclass(w.category, FewImagesWarning)}:
        messages().print("Warning:", text, style="yellow", markup=False, soft_wrap=True)
    return found


def _print_tables(found: dict, score_threshold: float) -> None:
    import rich.table

    title = f"On {found['num_images']} images"
    table = rich.table.Table(title=title, title_justify="left")
    for name in ("", found["a"]["file"], found["b"]["file"], "b - a", "b / a"):
        table.add_column(name, justify="right" if name else "left", overflow="fold")
    for name, label in _LABELS.items():
        if name in found["a"]:
            a, b = found["a"][name], found["b"][name]
            ratio = f"{b / a:.3f}" if a else ""
            table.add_row(label, *(_shown(name, value) for value in (a, b, b - a)), ratio)
    figures().print(table)
    table = rich.table.Table(
        title=f"Detections of the first from score {score_threshold:g} on, in the second",
        title_justify="left",
        show_header=False,
    )
    for name, value in found["differences"].items():
        shown = f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
        table.add_row(_DIFFERENCES[name], shown)
    figures().print(table)


_LABELS = {
    **{name: name for name in ("AP", "AP50", "AP75", "AR100", "MR2")},
    "size_bytes": "size (bytes)",
    "latency_ms": "time per image (ms)",
}
_DIFFERENCES = {
    "num_compared": "compared",
    "num_missing": "not found again",
    "box_px_mean": "shift of a box, mean (px)",
    "box_px_max": "shift of a box, largest (px)",
    "score_mean": "difference of scores, mean",
    "score_max": "difference of scores, largest",
}


def _shown(name: str, value: Any) -> str:
    if name == "size_bytes":
        return f"{value:,}"
    return f"{value:.1f}" if name == "latency_ms" else f"{value:.4f}"
