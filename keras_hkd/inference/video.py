"""Finds people in the frames of a video: decoding, detecting and drawing overlap."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Iterable
from typing import Any

import numpy as np

from keras_hkd.data.classes import canonical
from keras_hkd.inference.drawing import COLOURS, draw_detections
from keras_hkd.inference.pipelined import pipelined
from keras_hkd.inference.prediction import Predictor, predict_images
from keras_hkd.inference.tracking import LOW_SCORE, Tracker
from keras_hkd.inference.video_files import Frame


@dataclasses.dataclass(frozen=True, eq=False)
class Seen:
    """What was found in a frame.

    Args:
        frame: its number, from 0.
        seconds: when it is shown.
        found: dict of `boxes (n, 4)` xyxy pixels of the frame, `classes (n,)`, `confidence (n,)`.
        people: how many of them are people; all, where the detector has no such class.
        tracks: `(n,)` numbers of the tracks, from 0; None where nobody is followed.
        people_so_far: tracks up to and with this frame; None where nobody is followed.
    """

    frame: int
    seconds: float
    found: dict[str, np.ndarray]
    people: int
    tracks: np.ndarray | None
    people_so_far: int | None


def watch_video(
    detector: Predictor,
    frames: Iterable[Frame],
    *,
    image_size: tuple[int, int] | None = None,
    score_threshold: float = 0.3,
    tracker: Tracker | None = None,
    write: Callable[[np.ndarray, float], Any] | None = None,
    depth: int = 4,
) -> Generator[Seen, None, None]:
    """Find people in frames, one after another, in threads.

    Args:
        detector: what detects, such as `keras_hkd.inference.TFLiteDetector`.
        frames: such as a `VideoReader`.
        image_size: `(height, width)` in pixels to letterbox to; the detector's own if None.
        score_threshold: detections that score less are left out.
        tracker: follows people from frame to frame, or None.
        write: takes each frame with the boxes drawn, uint8 `(height, width, 3)`, and its seconds;
            None to draw nothing.
        depth: most frames that wait between two of the threads.

    Yields:
        What was found, once the frame has been written.
    """
    lowest = score_threshold if tracker is None else min(LOW_SCORE, score_threshold)
    names = tuple(getattr(detector, "class_names", ()))
    of_people = [number for number, name in enumerate(names) if canonical(name) == "person"]
    counted = np.array(of_people or [*range(max(1, len(names)))])

    def detect(frame: Frame) -> tuple[Frame, Seen]:
        (found,) = predict_images(detector, [frame.pixels], image_size, 1, lowest)
        tracks = so_far = None
        if tracker is not None:
            found, tracks = tracker.follow(found, frame.seconds)
            so_far = len(tracker.seen)
        people = int(np.isin(found["classes"], counted).sum())
        return frame, Seen(frame.number, frame.seconds, found, people, tracks, so_far)

    def draw(given: tuple[Frame, Seen]) -> tuple[np.ndarray, Seen]:
        frame, seen = given
        return np.asarray(_drawn(frame.pixels, seen, names)), seen

    def written(given: tuple[np.ndarray, Seen]) -> Seen:
        pixels, seen = given
        if write is not None:
            write(pixels, seen.seconds)
        return seen

    if write is None:
        return pipelined(frames, lambda frame: detect(frame)[1], depth=depth)
    return pipelined(frames, detect, draw, written, depth=depth)


def _drawn(pixels: np.ndarray, seen: Seen, names: tuple[str, ...]) -> Any:
    found, tracks = seen.found, seen.tracks
    classes = found["classes"].astype(int)
    labels = []
    for row, (number, score) in enumerate(zip(classes, found["confidence"], strict=True)):
        name = names[number] if 0 <= number < len(names) else str(number)
        labels.append(f"{name} {score:.2f}" if tracks is None else f"{name} {tracks[row] + 1}")
    colours = (classes if tracks is None else tracks % len(COLOURS)).tolist()
    return draw_detections(pixels, found["boxes"], labels, colours)
