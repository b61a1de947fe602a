"""`keras-hkd benchmark`: latency, size and memory of detectors on this machine."""

import pathlib
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from keras_hkd.cli import options
from keras_hkd.cli.console import figures, messages, print_json
from keras_hkd.cli.image_size import ImageSize, parse_image_size
from keras_hkd.cli.model_files import TFLITE, check_model_file
from keras_hkd.messages import told_apart

ORDER = 120

Models = Annotated[
    list[pathlib.Path],
    typer.Argument(
        metavar="MODEL...",
        help="Detectors' .keras files and presets, each also timed as TFLite in three precisions; "
        "and any .tflite files.",
        show_default=False,
    ),
]
Threads = Annotated[
    list[int],
    typer.Option("--threads", min=1, help="Threads of LiteRT. May be repeated."),
]
Rounds = Annotated[int, typer.Option("--rounds", min=1, help="Timed predictions of each.")]
WarmUp = Annotated[int, typer.Option("--warm-up", min=0, help="Predictions before these.")]
Nms = Annotated[
    bool,
    typer.Option("--nms/--no-nms", help="Time .keras models with or without suppression."),
]
Memory = Annotated[
    bool,
    typer.Option("--memory/--no-memory", help="Measure peak memory, a process for each row."),
]


def command(
    models: Models,
    threads: Threads = (1, 2),  # type: ignore[assignment]
    image_size: ImageSize = None,
    rounds: Rounds = 50,
    warm_up: WarmUp = 5,
    nms: Nms = True,
    memory: Memory = True,
    json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Time detectors on this machine: Keras and TFLite, in every precision.

    One image at a time, all models in turn within one run. TFLite runs on LiteRT with XNNPACK. A
    .keras detector is timed as Keras (TensorFlow, all cores) and as float32, float16 and int8
    TFLite, exported for this purpose. "Speed-up" says how many times as fast a model is as the
    first TFLite model at as many threads.
    """
    size = parse_image_size(image_size)
    models = [check_model_file(path) for path in models]
    from keras_hkd.evaluation import benchmark_models

    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for name, path in zip(told_apart(models), models, strict=True):
            files |= (
                {name: path}
                if path.suffix == TFLITE
                else _exported(name, path, pathlib.Path(folder), size, nms)
            )
        found = benchmark_models(
            files,
            image_size=size,
            threads=tuple(dict.fromkeys(threads)),
            rounds=rounds,
            warm_up=warm_up,
            memory=memory,
            nms=nms,
        )
    if json:
        print_json({"rounds": rounds, "warm_up": warm_up, "models": found, **_machine()})
    else:
        _print_table(found, rounds)


def _exported(
    name: str, path: Path, folder: Path, size: tuple[int, int] | None, nms: bool
) -> dict[str, pathlib.Path]:
    """Export a Keras detector to three TFLite files, and list it after them."""
    from keras_hkd.detectors import load_detector
    from keras_hkd.evaluation.benchmark import export_precisions

    into = folder / str(len(list(folder.iterdir())))
    into.mkdir()
    with messages().status(f"Converting {name}"):
        detector = load_detector(path)
        files = export_precisions(detector, into, size, nms)
    named = {f"{name} as {precision}": file for precision, file in files.items()}
    if not path.is_dir():
        return {**named, name: path}
    detector.save(into / "preset.keras")
    return {**named, name: into / "preset.keras"}


def _machine() -> dict[str, object]:
    import os
    import platform

    from keras_hkd.training.run_folder import versions

    return {"cpu": platform.machine(), "num_cpus": os.cpu_count(), "versions": versions()}


def _print_table(found: list[dict], rounds: int) -> None:
    import rich.table

    table = rich.table.Table(title=f"One image, {rounds} rounds", title_justify="left")
    table.add_column("model", overflow="fold")
    for heading in ("threads", "median ms", "p90 ms", "speed-up", "MB", "peak MiB"):
        table.add_column(heading, justify="right")
    for row in found:
        memory = row.get("peak_memory_mib")
        table.add_row(
            row["model"],
            "all" if row["threads"] is None else str(row["threads"]),
            f"{row['median_ms']:.2f}",
            f"{row['p90_ms']:.2f}",
            f"{row['speed_up']:.2f}",
            f"{row['size_bytes'] / 1e6:.2f}",
            "" if memory is None else f"{memory:.1f}",
        )
    figures().print(table)
    for row in found:
        if "gflops" in row:
            parameters, gflops = row["parameters"], row["gflops"]
            figures().print(f"{row['model']}: {parameters:,} parameters, {gflops:.3g} GFLOPs")
