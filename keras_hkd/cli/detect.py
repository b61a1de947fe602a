"""`keras-hkd detect`: find people in images; pictures with boxes, and COCO results, out."""

import hashlib
import pathlib
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from keras_hkd.cli import detect_video, options
from keras_hkd.cli.console import figures, messages, print_json, remark
from keras_hkd.cli.datasets import report_skipped
from keras_hkd.cli.detect_photos import (
    MARK,
    MOST_PICTURES_SHOWN,
    PhotoRun,
    are_inside,
    check_free,
    drawn_folders,
)
from keras_hkd.cli.image_size import ImageSize, parse_image_size
from keras_hkd.cli.model_files import TFLITE, check_model_file, check_size_fits, load_model_file
from keras_hkd.cli.results_file import check_results_file
from keras_hkd.errors import InvalidValueError, MissingFileError
from keras_hkd.json_files import write_json
from keras_hkd.messages import did_you_mean
from keras_hkd.parts import Parts, Shard
from keras_hkd.zoo.catalogue import DEFAULT_PRESET, is_preset, list_presets

ORDER = 70

Images = Annotated[
    list[pathlib.Path] | None,
    typer.Argument(
        metavar="[MODEL] IMAGES_OR_FOLDERS...",
        help="Images, and folders of images. The first may be the model: a preset, or a "
        "detector's .keras or .tflite file.",
        show_default=False,
    ),
]
Model = Annotated[
    pathlib.Path | None,
    typer.Option(
        "--model",
        "--preset",
        metavar="FILE_OR_PRESET",
        help="The model, where it is not the first argument.",
        show_default=DEFAULT_PRESET,
    ),
]
OutFolder = Annotated[
    pathlib.Path,
    typer.Option("--out", metavar="DIR", help="The folder to write to; of a video also its file."),
]
ScoreThreshold = Annotated[
    float, typer.Option("--score-threshold", min=0, max=1, help="Lowest score that is reported.")
]
Pictures = Annotated[
    bool,
    typer.Option(
        "--pictures/--no-pictures", help="Write pictures, or a video, with the boxes drawn."
    ),
]


def command(
    images: Images = None,
    model: Model = None,
    video: detect_video.Video = None,
    webcam: detect_video.Webcam = False,
    camera: detect_video.Camera = None,
    track: detect_video.Track = False,
    seconds: detect_video.Seconds = None,
    out: OutFolder = pathlib.Path("detections"),
    score_threshold: ScoreThreshold = 0.3,
    person_class: options.PersonClass = None,
    image_size: ImageSize = None,
    batch_size: options.BatchSize = 8,
    pictures: Pictures = True,
    shard: options.ShardOfImages = None,
    on_bad_data: options.OnBadData = "raise",
    json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Find people in images: pictures with boxes, and COCO results JSON.

    Takes images and folders with images; without a model the preset `person_nano` is used. Writes
    DIR/detections.json, COCO results with the image's `file_name` added, and DIR/pictures/.
    Pictures are turned upright by their EXIF tag first; boxes are pixels of the upright picture.

    keras-hkd detect --video in.mp4 --out out.mp4

    keras-hkd detect --webcam --track

    Of millions of images several processes take a share each: --shard 1/4 to --shard 4/4 write what
    they find to DIR/parts, and go on there when they are called again after a kill. The same
    command without --shard then joins the parts to DIR/detections.json.
    """
    share, size = Shard.parse(shard), parse_image_size(image_size)
    if video is not None or webcam:
        if share is not None:
            raise InvalidValueError(
                "`--shard` goes with images: a film is looked at as a whole, since people are "
                f"followed from frame to frame. Received: --shard {shard}"
            )
        model = check_model_file(_model_of_video(model, images, video, webcam))
        detect_video.detect_in_video(
            lambda lowest_score: _load_detector(model, lowest_score, person_class, size),
            video,
            camera,
            out,
            size=size,
            score_threshold=score_threshold,
            track=track,
            seconds=seconds,
            pictures=pictures,
            json=json,
        )
        return
    if track or camera or seconds is not None:
        raise InvalidValueError(
            "--track, --camera and --seconds go with --video or --webcam. Received: neither of them"
        )
    if not images:
        raise InvalidValueError("Missing argument IMAGES_OR_FOLDERS, --video FILE or --webcam.")
    model, images = _model_and_images(model, images)
    model = check_model_file(model)
    named, num_others, num_left_out = _find_images(images, out, pictures)
    check_results_file(out / "detections.json", "--out")
    detector = _load_detector(model, score_threshold, person_class, size)
    picture_folder = out / "pictures" if pictures else None
    run = PhotoRun(detector, size, batch_size, score_threshold, picture_folder, on_bad_data)
    summary = _detect_in_photos(run, named, out, share, model, person_class)
    summary["num_skipped"] += num_others
    summary["num_drawn_before"] = num_left_out
    _report(summary, run.found, json)


def _detect_in_photos(
    run: PhotoRun,
    named: Sequence[tuple[Path, int | str]],
    out: Path,
    share: Shard | None,
    model: Path,
    person_class: int | None,
) -> dict[str, Any]:
    """Detect in the images and write what was found; returns what is to be reported."""
    out.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    num_detections, place = _write_results(run, named, out, share, model, person_class)
    folder = run.picture_folder
    if folder is not None and not Parts.are_in(out / "parts"):
        _note_older(folder, run.drawn)
    return {
        "model": model.name,
        "num_images": run.num_images,
        "num_detections": num_detections,
        "num_skipped": run.num_skipped,
        "images_per_second": run.num_computed / (time.perf_counter() - start),
        "detections": str(place),
        "pictures": None if folder is None else str(folder),
        **({} if share is None else {"shard": str(share)}),
    }


def _find_images(
    places: Sequence[Path], out: Path, pictures: bool
) -> tuple[list[tuple[Path, int | str]], int, int]:
    """Find the images, each with its id, and say which other files there are; also counts those.

    Pictures that earlier calls drew do not count, unless they are asked for; their number is the
    last that is returned. Where drawings would replace a photograph nothing begins.
    """
    from keras_hkd.inference.photos import find_images_and_others, image_ids

    paths, others = find_images_and_others(places)
    num_left_out = 0
    # A million paths are not resolved where nothing was drawn yet.
    for folder in [one for one in drawn_folders(paths) if not are_inside(places, one)]:
        kept = [path for path in paths if not path.is_relative_to(folder)]
        num_left_out += len(paths) - len(kept)
        remark(f"Left out {len(paths) - len(kept)} pictures in {folder}: what was found before")
        paths = kept
    if not paths:
        raise InvalidValueError(
            "All pictures there were drawn by earlier calls: give the photographs, or that folder "
            f"itself. Received: {', '.join(map(str, places))}"
        )
    report_skipped(others)
    if pictures:
        check_free(out / "pictures", places)
    return list(zip(paths, image_ids(paths), strict=True)), len(others), num_left_out


def _note_older(folder: Path, drawn: set[Path]) -> None:
    """Say how many pictures of earlier calls lie beside those of this one."""
    older = sum(
        path.is_file() and path not in drawn and path.name != MARK for path in folder.rglob("*")
    )
    if older:
        remark(f"{folder} also holds {older} pictures of earlier calls")


def _write_results(
    run: PhotoRun,
    named: Sequence[tuple[Path, int | str]],
    out: Path,
    share: Shard | None,
    model: Path,
    person_class: int | None,
) -> tuple[int, Path]:
    """Detect in the images, or in a share; returns how many detections there are, and where."""
    file, folder = out / "detections.json", out / "parts"
    if share is None and not Parts.are_in(folder):
        results = run.over(named)
        write_json(file, results, indent=None)
        return len(results), file
    facts = {
        "model": _file_digest(model),
        "images": _digest(f"{i} {_version(path)}" for path, i in named),
        "pictures": run.picture_folder is not None,
        "image_size": run.size,
        "score_threshold": run.score_threshold,
        "person_class": person_class,
        "on_bad_data": run.on_bad_data,
    }
    parts = Parts(folder, facts, len(named), run.batch_size)
    num_detections = run.over_parts(parts, share, named)
    if share is not None:
        return num_detections, folder
    parts.join("results", file)
    return num_detections, file


def _digest(words: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for word in words:
        digest.update(f"{word}\n".encode())
    return digest.hexdigest()


def _version(path: Path) -> str:
    """Tell a file from what stood under its name before."""
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns}"


def _file_digest(model: Path) -> str:
    """Compute the checksum of a model's file, or of all files of its folder."""
    files = sorted(model.rglob("*")) if model.is_dir() else [model]
    parts = (path for path in files if path.is_file())
    return _digest(f"{p.name} {hashlib.sha256(p.read_bytes()).hexdigest()}" for p in parts)


def _model_and_images(model: Any, words: Any) -> tuple[Any, list[Path]]:
    """Split the words of the call into the model, given or not, and the images."""
    if model is not None:
        return model, words
    first, *rest = words
    if first.suffix in (".keras", TFLITE) or is_preset(first):
        if not rest:
            raise InvalidValueError(f"Missing argument IMAGES_OR_FOLDERS: {first} is the model.")
        return first, rest
    if not first.exists():
        hint = did_you_mean(first, list_presets(), 3)
        raise MissingFileError(
            f"{first}: there is no such image, folder or preset.{hint} See `keras-hkd presets`."
        )
    return pathlib.Path(DEFAULT_PRESET), words


def _model_of_video(model: Any, words: Any, video: Any, webcam: bool) -> Path:
    """Return the model of a call without images, whose only word may name it."""
    if video is not None and webcam:
        raise InvalidValueError("Give --video or --webcam, not both. Received: both")
    words = [*(words or []), *([] if model is None else [model])]
    if len(words) > 1:
        raise InvalidValueError(
            "With --video or --webcam there are no images, and one model at most. Received: "
            + " ".join(str(word) for word in words)
        )
    return words[0] if words else pathlib.Path(DEFAULT_PRESET)


def _load_detector(
    model: Any, score_threshold: float, person_class: int | None, size: tuple[int, int] | None
) -> Any:
    if model.is_dir() and person_class is None:
        from keras_hkd.zoo.loading import load_for_detection

        with messages().status(f"Loading {model.name}"):
            detector = load_for_detection(model, size)
    else:
        detector = load_model_file(model, person_class)
    if getattr(detector, "nms", False) and score_threshold < detector.score_threshold:
        remark(
            f"{model.name} itself leaves out what scores {detector.score_threshold:g} or less, "
            "however low --score-threshold is: export it anew with a lower `score_threshold`"
        )
    # Its own threshold applies before ours; what lies below both is never computed.
    detector.score_threshold = min(detector.score_threshold, score_threshold)
    check_size_fits(detector, size)
    return detector


def _report(summary: dict, found: list[tuple], json: bool) -> None:
    if json:
        print_json(summary)
        return
    import rich.table

    if len(found) <= MOST_PICTURES_SHOWN:
        pictures = rich.table.Table("picture", "detections", "best score")
        for path, number, best in found:
            pictures.add_row(path, str(number), "" if best is None else f"{best:.2f}")
        figures().print(pictures)
    table = rich.table.Table(show_header=False)
    for name, label in _LABELS.items():
        value = summary[name]
        if value is not None and (value or name not in _IF_ANY):
            table.add_row(label, f"{value:.1f}" if isinstance(value, float) else str(value))
    figures().print(table)


_IF_ANY = ("num_skipped", "num_drawn_before")
_LABELS = {
    "model": "model",
    "num_images": "images",
    "num_skipped": "skipped images",
    "num_drawn_before": "pictures of earlier calls, left out",
    "num_detections": "detections",
    "images_per_second": "images per second",
    "detections": "COCO results in",
    "pictures": "pictures in",
}
