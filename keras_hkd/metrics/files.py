"""Ground truth and detections from files: `.json`, `.json.gz`, and KAIST's result text."""

from __future__ import annotations

import gzip
import json
import os
import zlib

from keras_hkd.metrics.detections import Detections, as_detections
from keras_hkd.metrics.ground_truth import GroundTruth, as_ground_truth


def read_ground_truth(path) -> GroundTruth:
    """Read a ground-truth file in COCO's form, such as those of COCO, CityPersons and KAIST.

    Args:
        path: a `.json` or `.json.gz` file; see `as_ground_truth` for what may be in it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not JSON, or not of that form; names file and record.
    """
    content = _read_json(path)
    if not isinstance(content, dict):
        raise ValueError(
            f"{path}: ground truth must be a JSON object with 'images' and 'annotations'. "
            f"Received: a JSON {_kind(content)}"
        )
    with _naming(path):
        return as_ground_truth(content)


def read_detections(path, ground_truth: GroundTruth) -> Detections:
    """Read detections: COCO results, or KAIST's text.

    Args:
        path: `.json` or `.json.gz`, a list of `image_id`, `category_id`, `bbox` (left, top, width,
            height), `score`; or `.txt` or `.txt.gz`, lines of image number, left, top, width,
            height, score, an image's number being its id + 1.
        ground_truth: what they are compared with.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is of another form, or names an image that the ground truth has not;
            names file and record.
    """
    if str(path).endswith((".txt", ".txt.gz")):
        return _read_numbered_lines(path, ground_truth)
    content = _read_json(path)
    if not isinstance(content, list):
        raise ValueError(
            f"{path}: detections must be a JSON list of COCO results. Received: a JSON "
            f"{_kind(content)}"
        )
    with _naming(path):
        return as_detections(content, ground_truth)


def _read_numbered_lines(path, truth: GroundTruth) -> Detections:
    known = set(truth.image_ids)
    results = []
    for number, line in enumerate(_read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            image, *box, score = (float(field) for field in line.split(","))
            if len(box) != 4 or image - 1 not in known:
                raise ValueError
        except ValueError:
            raise ValueError(
                f"{path}: line {number} must be image number, left, top, width, height, score, the "
                "number being the ground truth's image id + 1, as KAIST numbers its images. "
                f"Received: {line[:100]!r}"
            ) from None
        results.append({"image_id": int(image) - 1, "bbox": box, "score": score})
    with _naming(path):
        return as_detections(results, truth)


def _read_json(path):
    text = _read_text(path)
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON: {error}") from error


def _read_text(path) -> str:
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path}: there is no such file.")
    try:
        with open(path, "rb") as file:
            content = file.read()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        return content.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: cannot be unpacked: {error}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is not a text file: {error}") from error


class _naming:
    """Puts the file's name before the message of a ValueError."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if isinstance(error, ValueError | TypeError):
            raise ValueError(f"{self.path}: {error}") from error


def _kind(content) -> str:
    names = {dict: "object", list: "list", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(content), "number")
