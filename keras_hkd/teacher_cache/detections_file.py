"""Builds a teacher cache from a file of detections (COCO results)."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_hkd import checks
from keras_hkd.boxes import clip
from keras_hkd.data.batches.letterbox import Letterbox
from keras_hkd.data.result_pictures import UNKNOWN, ResultPictures
from keras_hkd.errors import InvalidValueError
from keras_hkd.teacher_cache import manifest, stored_detections
from keras_hkd.teacher_cache.building import begin, completing
from keras_hkd.teacher_cache.detections_teacher import DetectionsTeacher
from keras_hkd.teacher_cache.row_format import RowFormat
from keras_hkd.teacher_cache.shards import rows_per_shard

if TYPE_CHECKING:
    from keras_hkd.data import Dataset


def from_detections(
    cls: Any,
    detections: Any,
    dataset: Dataset,
    folder: Path,
    *,
    image_size: Sequence[int],
    category_ids: Mapping[int, str] | None = None,
    num_detections: int = 100,
) -> Any:
    """Builds the cache of a teacher that is a file of detections; see `TeacherCache`.

    Args:
        cls: `TeacherCache`.
        detections: `.json` or `.json.gz` file of COCO results, or a list of such dicts. Scores are
            probabilities in [0, 1]. Results for images that are not in the dataset are left out.
        dataset: the training images; results are matched to them as described in
            `keras_hkd.data.result_pictures`.
        folder: folder of the cache.
        image_size: `(height, width)` in pixels of the training.
        category_ids: dict from category id to name of the class; by default the ids of the
            dataset's file, `Dataset.category_ids`. Other categories are left out.
        num_detections: number of detections of each image that are kept, best first.

    Returns:
        The cache.

    Raises:
        CacheError: if the folder holds the cache of other detections.
        ValueError: if a record has another form, or none is of these images.
    """
    size = checks.image_size("image_size", image_size)
    checks.whole("num_detections", num_detections, low=1)
    classes = _class_indices(category_ids, dataset)
    per_image, num_others = _by_image(_records(detections), dataset, classes, detections)
    digest = hashlib.sha256(json.dumps([rows for rows in per_image]).encode()).hexdigest()
    row_format = RowFormat(stored_detections.fields(num_detections))
    key = {
        "format": 1,
        "teacher_hash": digest,
        "class_names": list(dataset.class_names),
        "data_hash": dataset.content_hash,
        "image_size": list(size),
        "teacher_image_size": None,
        "mode": "replay",
        "views": None,
        "augmentation": None,
        "features": {"pooling": 1, "channels": None},
        "rows": row_format.to_json(),
    }
    report = {
        "num_rows": len(dataset),
        "num_images_without_detection": sum(not rows for rows in per_image),
        "num_results_of_other_images_or_classes": num_others,
    }
    default = rows_per_shard(len(dataset), row_format.row_bytes)
    with completing(folder, key) as saved:
        facts = {
            "key": key,
            "num_images": len(dataset),
            "shard_rows": default if saved is None else saved["shard_rows"],
            "map_shapes": {},
            "report": report,
        }
        begin(folder, facts, {}, DetectionsTeacher(dataset.class_names, size))
        cache = cls(*manifest.read(folder))
        for number in cache.shards.missing():
            rows = [
                _row(per_image[i], dataset[i], size, num_detections)
                for i in cache.shards.rows_of(number)
            ]
            columns = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
            packed = row_format.pack(stored_detections.encode(columns, size))
            cache.shards.write(number, packed)
    return cache


def _class_indices(
    category_ids: Mapping[int, str] | None, dataset: Dataset
) -> dict[int | str, int]:
    class_names = dataset.class_names
    if category_ids is None:
        return dataset.classes_by_id
    unknown = set(category_ids.values()) - set(class_names)
    if unknown:
        raise InvalidValueError(
            f"`category_ids` must name classes of the dataset: {', '.join(class_names)}. "
            f"Received: {sorted(unknown)}"
        )
    return {int(number): class_names.index(name) for number, name in category_ids.items()}


def _records(detections: Any) -> list:
    if isinstance(detections, (list, tuple)):
        return list(detections)
    path = Path(detections)
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        records = json.loads(content)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: there is no such file of detections.") from None
    except (ValueError, OSError, EOFError, RecursionError) as error:
        raise InvalidValueError(f"{path}: expected a JSON list of COCO results: {error}") from error
    if not isinstance(records, list):
        raise InvalidValueError(
            f"{path}: expected a JSON list of COCO results. Received: {type(records).__name__}"
        )
    return records


def _by_image(
    records: list, dataset: Dataset, classes: Mapping[int | str, int], source: Any
) -> tuple[list[list[list[float]]], int]:
    """Returns `[x1, y1, x2, y2, class, score]` of each image, best first, and how many are left."""
    pictures = ResultPictures(
        [image.image_id for image in dataset], [image.name or image.image_path for image in dataset]
    )
    checked = [_checked(record, number, source) for number, record in enumerate(records)]
    names = [record.get("file_name") for record in records]
    places = pictures.positions([image_id for image_id, *_ in checked], names, unknown="skip")
    per_image: list[list[list[float]]] = [[] for _ in dataset]
    num_others = 0
    for place, (_, category, row) in zip(places.tolist(), checked, strict=True):
        if place == UNKNOWN or category not in classes:
            num_others += 1
            continue
        per_image[place].append([*row[:4], classes[category], row[4]])
    if not any(per_image):
        raise InvalidValueError(
            f"{_named(source)}: none of {len(records)} detections is of an image and a class of "
            f"{dataset.source!r}: they go by `image_id`, else by `file_name`, and by "
            "`category_id` (see `category_ids`, or --category)."
        )
    return [sorted(rows, key=lambda row: -row[5]) for rows in per_image], num_others


def _checked(record: Any, number: int, source: Any) -> tuple[Any, int, tuple[float, ...]]:
    try:
        left, top, width, height = (float(value) for value in record["bbox"])
        score = float(record["score"])
        image_id, category = record["image_id"], record["category_id"]
        if isinstance(category, float) and category.is_integer():
            category = int(category)
        fine = width >= 0 and height >= 0 and 0 <= score <= 1
        fine = fine and isinstance(image_id, (int, str)) and isinstance(category, int)
        if not (fine and all(map(math.isfinite, (left, top, width, height)))):
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise InvalidValueError(
            f"{_named(source)}: detection {number} must be a dict of `image_id`, `category_id`, "
            "`bbox` [left, top, width, height] in pixels and `score`, a probability in [0, 1]. "
            f"Received: {str(record)[:150]}"
        ) from None
    return image_id, category, (left, top, left + width, top + height, score)


def _named(source: Any) -> str:
    return "detections" if isinstance(source, (list, tuple)) else str(source)


def _row(
    rows: list[list[float]], image: Any, image_size: tuple[int, int], num_detections: int
) -> dict:
    """Returns the detections of an image in pixels of the letterboxed image, padded with -1."""
    letterbox = Letterbox.fit((image.height, image.width), image_size)
    found = np.array(rows, float).reshape(-1, 6)
    boxes = clip(found[:, :4], (image.height, image.width))
    kept = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    boxes, found = boxes[kept][:num_detections], found[kept][:num_detections]
    row = {
        "boxes": np.full((num_detections, 4), -1.0),
        "classes": np.full(num_detections, -1),
        "confidence": np.full(num_detections, -1.0),
        "ranks": np.arange(num_detections),
    }
    row["boxes"][: len(boxes)] = letterbox.apply(boxes)
    row["classes"][: len(boxes)] = found[:, 4]
    row["confidence"][: len(boxes)] = found[:, 5]
    return row
