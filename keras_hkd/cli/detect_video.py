"""`keras-hkd detect --video` and `--webcam`: a video with boxes, a table of people over time."""

import contextlib
import csv
import datetime
import itertools
import pathlib
import signal
import threading
import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from keras_hkd.atomic_write import replacing
from keras_hkd.cli.console import figures, print_json, remark
from keras_hkd.errors import InvalidValueError, PathInUseError

_COLUMNS = ("frame", "seconds", "people")

Video = Annotated[
    pathlib.Path | None,
    typer.Option(
        "--video",
        metavar="FILE",
        help="Find people in a video, in the place of images: --out is then the video to write "
        "(.mp4, .mkv, .mov, .webm, .avi), beside it a .csv of people over time. Needs "
        "keras-hkd\\[video].",
        show_default=False,
    ),
]
Webcam = Annotated[
    bool,
    typer.Option("--webcam", help="Find people in what a camera sees, until Ctrl-C."),
]
Camera = Annotated[
    str | None,
    typer.Option(
        "--camera",
        metavar="DEVICE",
        help="The camera of --webcam, as FFmpeg names it, such as /dev/video1.",
        show_default="the first",
    ),
]
Track = Annotated[
    bool,
    typer.Option(
        "--track", help="Of a video: follow people from frame to frame (ByteTrack) and number them."
    ),
]
Seconds = Annotated[
    float | None,
    typer.Option(
        "--seconds",
        min=0,
        help="Of a video: stop after so many seconds of it.",
        show_default=False,
    ),
]


def detect_in_video(
    load_detector: Any,
    video: pathlib.Path | None,
    camera: str | None,
    out: pathlib.Path,
    *,
    size: tuple[int, int] | None,
    score_threshold: float,
    track: bool,
    seconds: float | None,
    pictures: bool,
    json: bool,
) -> None:
    """Find people in a video or in what a camera sees; write a video and a table.

    Args:
        load_detector: gives the detector for the lowest score that is asked of it.
        video: a file, or None for a camera.
        camera: its name, or None for the first.
        out: the video to write, or a folder for it.
        size: `(height, width)` in pixels, or None.
        score_threshold: lowest score.
        track: follow people.
        seconds: of the video, after which it stops; or None.
        pictures: write a video, not the table alone.
        json: print one JSON object.
    """
    from keras_hkd.inference.tracking import LOW_SCORE, Tracker
    from keras_hkd.inference.video_files import VIDEO_SUFFIXES, VideoReader

    named = out.suffix.lower() in VIDEO_SUFFIXES
    if not named:
        out = out / f"{_name_of_now() if video is None else video.stem}.mp4"
    if video is not None and out.exists() and video.exists() and out.samefile(video):
        raise InvalidValueError(f"--out would replace the video that is read. Received: {out}")
    _check_free(out, named, camera=video is None, pictures=pictures)
    reader = VideoReader.webcam(camera) if video is None else VideoReader(video)
    with reader:
        tracker = Tracker(reader.rate, score_threshold) if track else None
        detector = load_detector(min(LOW_SCORE, score_threshold) if track else score_threshold)
        how = {"image_size": size, "score_threshold": score_threshold, "tracker": tracker}
        summary = _watch(reader, detector, out, how, seconds, pictures)
    if reader.broke_off:
        remark(f"{reader.name} broke off: what was seen up to there is written.")
    if reader.num_damaged:
        remark(f"{reader.num_damaged} packets of {reader.name} could not be decoded.")
    _report({"model": detector.name, **summary}, json)


def _name_of_now() -> str:
    return f"{datetime.datetime.now():webcam-%Y%m%d-%H%M%S}"


def _check_free(out: pathlib.Path, named: bool, camera: bool, pictures: bool) -> None:
    """Refuse to replace what cannot be made again by the same call.

    Args:
        out: the video to write; the table is beside it.
        named: whether the user gave this name.
        camera: whether it is filmed now: then nothing is replaced.
        pictures: whether the video is written.
    """
    table = out.with_suffix(".csv")
    ours = not camera and table.is_file() and _is_ours(table)
    written = {table: ours}
    if pictures:
        written[out] = ours or (named and not camera)
    for path, replaceable in written.items():
        if path.exists() and not replaceable:
            other = out.with_stem(f"{out.stem}_people")
            raise PathInUseError(
                "Expected names for the video and the table of people beside it that are free, or "
                f"those of an earlier call: choose others, such as --out {other}. "
                f"Received: {path}, which is there already"
            )


def _is_ours(table: pathlib.Path) -> bool:
    head = ",".join(_COLUMNS)
    with table.open(encoding="utf-8", errors="replace") as file:
        return file.read(len(head)) == head


def _watch(
    reader: Any,
    detector: Any,
    out: pathlib.Path,
    how: dict[str, Any],
    seconds: float | None,
    pictures: bool,
) -> dict[str, Any]:
    """Write the video and the table; both are whole also where it was stopped by Ctrl-C or kill."""
    from keras_hkd.inference.video import watch_video
    from keras_hkd.progress import image_progress

    table = out.with_suffix(".csv")
    num_frames, most, so_far, stopped = 0, 0, None, False
    start = time.perf_counter()
    frames = reader
    if seconds is not None:
        frames = itertools.takewhile(lambda frame: frame.seconds < seconds, reader)
    with contextlib.ExitStack() as files:
        files.enter_context(_kill_as_interrupt())
        file = files.enter_context(_new_table(table))
        writer = files.enter_context(_new_video(out, reader.rate)) if pictures else None
        rows = csv.writer(file)
        tracks = how["tracker"] is not None
        rows.writerow([*_COLUMNS, *(["people_so_far", "tracks"] * tracks)])
        announced = None if seconds is not None else reader.num_frames
        advance = files.enter_context(image_progress("Watching", announced, unit="frames"))
        watched = files.enter_context(
            contextlib.closing(watch_video(detector, frames, write=writer and writer.write, **how))
        )
        try:
            for seen in watched:
                row = [seen.frame, f"{seen.seconds:.4f}", seen.people]
                if seen.tracks is not None:
                    row += [seen.people_so_far, " ".join(str(n + 1) for n in seen.tracks)]
                    so_far = seen.people_so_far
                rows.writerow(row)
                num_frames, most = num_frames + 1, max(most, seen.people)
                advance(1)
        except KeyboardInterrupt:
            stopped = True
        if not num_frames:
            raise InvalidValueError(f"Not one frame could be decoded. Received: {reader.name!r}")
    if stopped:
        remark("Stopped: what was seen up to here is written.")
    if writer is not None and writer.num_cut:
        remark(_what_was_cut(writer, out, table))
    return {
        "num_frames": num_frames,
        "most_people": most,
        **({} if so_far is None else {"people_so_far": so_far}),
        "frames_per_second": num_frames / (time.perf_counter() - start),
        "people_over_time": str(table),
        "video": str(out) if pictures else None,
    }


@contextlib.contextmanager
def _kill_as_interrupt() -> Iterator[None]:
    """Let SIGTERM, which ends a service, finish what Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():  # Python allows it there alone
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _new_table(path: pathlib.Path) -> Any:
    with (
        replacing(path) as partial,
        partial.open("w", buffering=1, newline="", encoding="utf-8") as file,
    ):
        yield file


@contextlib.contextmanager
def _new_video(path: pathlib.Path, rate: float) -> Any:
    from keras_hkd.inference.video_files import VideoWriter

    with replacing(path) as partial:
        writer = VideoWriter(partial, rate)
        with contextlib.closing(writer):
            yield writer


def _what_was_cut(writer: Any, out: pathlib.Path, table: pathlib.Path) -> str:
    """Say that the video runs ahead of the table, and how to have it otherwise."""
    pauses = "a pause" if writer.num_cut == 1 else f"{writer.num_cut} pauses"
    longest, cut = (
        datetime.timedelta(seconds=round(seconds))
        for seconds in (writer.longest_pause_s, writer.cut_s)
    )
    return (
        f"{out.name} leaves out {cut} of {pauses} between frames: {out.suffix} holds {longest} at "
        f"most. Times in {table.name} are those of what was read. To keep them in the video too, "
        f"write an .mkv or .webm, as with --out {out.with_suffix('.mkv')}"
    )


def _report(summary: dict[str, Any], json: bool) -> None:
    if json:
        print_json(summary)
        return
    import rich.table

    labels = {
        "model": "model",
        "num_frames": "frames",
        "frames_per_second": "frames per second",
        "most_people": "most people in a frame",
        "people_so_far": "people in all",
        "people_over_time": "people over time in",
        "video": "video in",
    }
    table = rich.table.Table(show_header=False)
    for name, label in labels.items():
        value = summary.get(name)
        if value is not None:
            table.add_row(label, f"{value:.1f}" if isinstance(value, float) else str(value))
    figures().print(table)
