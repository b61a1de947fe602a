"""Reads ground truth and detections from files: `.json`, `.json.gz`, and KAIST's result text."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from keras_hkd.data.annotations import BadDataError, BadRecord
from keras_hkd.data.formats.text_files import read_json, read_text
from keras_hkd.data.loading import load_boxes
from keras_hkd.errors import InvalidValueError, MissingFileError
from keras_hkd.metrics.detections import Detections, as_detections
from keras_hkd.metrics.ground_truth import GroundTruth, as_ground_truth


def read_ground_truth(source: str | os.PathLike, **options: Any) -> GroundTruth:
    """Read ground truth in any format that `keras_hkd.data.load_dataset` reads.

    Args:
        source: a file, such as those of COCO, CityPersons and KAIST, a folder, or "PATH:split".
        **options: `format`, `class_names`, `on_bad_data` and `images_folder` of `load_dataset`; by
            default every class is read.

    Returns:
        A `GroundTruth`.

    Raises:
        FileNotFoundError: if there is no such file or folder.
        ValueError: if its format is unknown; the message names file and record.
    """
    place = str(source).rpartition(":")[0]
    if not os.path.exists(source) and not (place and os.path.exists(place)):
        raise MissingFileError(f"{source}: there is no such file or folder.")
    return as_ground_truth(load_boxes(source, **options))


def read_detections(
    path: str | os.PathLike,
    ground_truth: GroundTruth,
    on_bad_data: str = "raise",
    unknown_images: str | None = None,
) -> Detections:
    """Read detections: COCO results, or KAIST's text.

    Args:
        path: `.json` or `.json.gz`, a list of `image_id`, `category_id`, `bbox` (left, top, width,
            height), `score`; or `.txt` or `.txt.gz`, lines of image number, left, top, width,
            height, score, an image's number being its id + 1.
        ground_truth: the ground truth.
        on_bad_data: "raise", or "skip" to leave bad results out; see `as_detections`.
        unknown_images: the same for results of images that are not in the ground truth.

    Returns:
        `Detections`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file has another format, or names an image that is not in the ground
            truth; the message names file and record.
    """
    if not os.path.isfile(path):
        raise MissingFileError(f"{path}: there is no such file.")
    if str(path).endswith((".txt", ".txt.gz")):
        return _read_numbered_lines(path, ground_truth, on_bad_data, unknown_images or on_bad_data)
    content = read_json(Path(path))
    if not isinstance(content, list):
        raise InvalidValueError(
            f"{path}: detections must be a JSON list of COCO results. Received: a JSON "
            f"{_kind(content)}"
        )
    with _naming(path):
        return as_detections(content, ground_truth, on_bad_data, unknown_images)


def _read_numbered_lines(
    path: str | os.PathLike, truth: GroundTruth, on_bad_data: str, unknown: str
) -> Detections:
    known = set(truth.image_ids)
    results, skipped = [], []
    for number, line in enumerate(read_text(Path(path)).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            image, *box, score = (float(field) for field in line.split(","))
            read = len(box) == 4
        except ValueError:
            read = False
        if read and image - 1 in known:
            results.append({"image_id": int(image) - 1, "bbox": box, "score": score})
            continue
        problem = (
            "must be image number, left, top, width, height, score, the number being the ground "
            f"truth's image id + 1, as KAIST numbers its images. Received: {line[:100]!r}"
        )
        if (unknown if read else on_bad_data) == "raise":
            raise InvalidValueError(f"{path}: line {number} {problem}")
        skipped.append(BadRecord(str(path), f"line {number}", problem))
    if skipped and not results:
        raise InvalidValueError(f"{path}: {skipped[0].record} {skipped[0].problem}")
    with _naming(path):
        found = as_detections(results, truth, on_bad_data, unknown)
    return dataclasses.replace(found, skipped=(*skipped, *found.skipped))


class _naming:
    """Context manager that puts the file's name before the message of a ValueError."""

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = path

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, ValueError | TypeError) and not isinstance(error, BadDataError):
            raise InvalidValueError(f"{self.path}: {error}") from error


def _kind(content: Any) -> str:
    names = {dict: "object", list: "list", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(content), "number")
