"""Builds a teacher cache from a file of detections (COCO results)."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_hkd import checks
from keras_hkd.boxes import clip
from keras_hkd.boxes.iou import pairwise_iou
from keras_hkd.data.batches.letterbox import Letterbox
from keras_hkd.data.result_pictures import UNKNOWN, ResultPictures
from keras_hkd.errors import InvalidValueError, MissingFileError
from keras_hkd.messages import stack_level_of_caller
from keras_hkd.teacher_cache import manifest, stored_detections
from keras_hkd.teacher_cache.building import begin, completing
from keras_hkd.teacher_cache.detections_teacher import DetectionsTeacher
from keras_hkd.teacher_cache.pictures import checksums
from keras_hkd.teacher_cache.row_format import RowFormat
from keras_hkd.teacher_cache.shards import rows_per_shard

if TYPE_CHECKING:
    from keras_hkd.data import Dataset


HALF, FEW = 0.5, 0.2


class DetectionsWarning(UserWarning):
    """Few detections of a file match the images or the labels of a dataset."""


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
    """Build the cache of a teacher that is a file of detections; see `TeacherCache`.

    Args:
        cls: `TeacherCache`.
        detections: `.json` or `.json.gz` file of COCO results, or a list of such dicts. Scores are
            probabilities in [0, 1]. Results for images that are not in the dataset are left out,
            with a warning. Another warning is given where few labels are overlapped by a detection.
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
    per_image, left_out = _by_image(_records(detections), dataset, classes, detections)
    agreement = _agreement(per_image, dataset)
    _warn(_named(detections), left_out, agreement, chosen=category_ids is not None)
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
        "num_results_of_other_images_or_classes": sum(left_out.values()),
        "num_results_of_other_images": left_out["images"],
        **agreement,
    }
    default = rows_per_shard(len(dataset), row_format.row_bytes)
    with completing(folder, key, dataset) as saved:
        facts = {
            "key": key,
            "num_images": len(dataset),
            "shard_rows": default if saved is None else saved["shard_rows"],
            "map_shapes": {},
            "report": report,
            "pictures": checksums(dataset) if saved is None else saved.get("pictures"),
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
        raise MissingFileError(f"{path}: there is no such file of detections.") from None
    except (ValueError, OSError, EOFError, RecursionError) as error:
        raise InvalidValueError(f"{path}: expected a JSON list of COCO results: {error}") from error
    if not isinstance(records, list):
        raise InvalidValueError(
            f"{path}: expected a JSON list of COCO results. Received: {type(records).__name__}"
        )
    return records


def _by_image(
    records: list, dataset: Dataset, classes: Mapping[int | str, int], source: Any
) -> tuple[list[list[list[float]]], dict[str, int]]:
    """Return `[x1, y1, x2, y2, class, score]` of each image, best first, and what is left out.

    Left out are detections of other `images`, and of other `classes`.
    """
    pictures = ResultPictures(
        [image.image_id for image in dataset], [image.name or image.image_path for image in dataset]
    )
    checked = [_checked(record, number, source) for number, record in enumerate(records)]
    names = [record.get("file_name") for record in records]
    places = pictures.positions([image_id for image_id, *_ in checked], names, unknown="skip")
    per_image: list[list[list[float]]] = [[] for _ in dataset]
    left_out = {"images": 0, "classes": 0}
    for place, (_, category, row) in zip(places.tolist(), checked, strict=True):
        if place == UNKNOWN or category not in classes:
            left_out["images" if place == UNKNOWN else "classes"] += 1
            continue
        per_image[place].append([*row[:4], classes[category], row[4]])
    if not any(per_image):
        raise InvalidValueError(
            f"{_named(source)}: none of {len(records)} detections is of an image and a class of "
            f"{dataset.source!r}: they go by `image_id`, else by `file_name`, and by "
            "`category_id` (see `category_ids`, or --category). "
            f"Received: the categories {sorted({c for _, c, _ in checked})[:10]}"
        )
    return [sorted(rows, key=lambda row: -row[5]) for rows in per_image], left_out


def _agreement(per_image: list, dataset: Dataset) -> dict[str, int]:
    """How many detections overlap a label of their class by half, and labels a detection."""
    counts = np.zeros(4, int)
    for rows, image in zip(per_image, dataset, strict=True):
        found, boxes = np.array(rows, float).reshape(-1, 6), np.reshape(image.boxes, (-1, 4))
        overlaps = pairwise_iou(found[:, :4], np.asarray(boxes, float)) >= HALF
        overlaps &= found[:, 4:5] == np.reshape(image.classes, (1, -1))
        counts += len(found), overlaps.any(axis=1).sum(), len(boxes), overlaps.any(axis=0).sum()
    names = ("num_results", "num_results_on_a_label", "num_labels", "num_labels_found")
    return dict(zip(names, counts.tolist(), strict=True))


def _warn(
    name: str, left_out: Mapping[str, int], agreement: Mapping[str, int], chosen: bool
) -> None:
    """Warn of detections that are left out, and where hardly a label is found by any.

    Args:
        name: name of the file.
        left_out: counts of what was of other images and of other classes.
        agreement: what `_agreement` gave.
        chosen: whether the user said which categories count, so that others are meant to be left.
    """
    told = []
    total = sum(left_out.values()) + agreement["num_results"]
    if left_out["images"]:
        told.append(
            f"{left_out['images']} of {total} detections are of images that the dataset does not "
            "have, and are left out: is it of another split, or are images numbered otherwise?"
        )
    if left_out["classes"] and not chosen:
        told.append(
            f"{left_out['classes']} of {total} detections are of categories that the dataset does "
            "not have, and are left out: `category_ids` (--category) says which is which."
        )
    if agreement["num_labels"] and agreement["num_labels_found"] < FEW * agreement["num_labels"]:
        told.append(
            f"Only {agreement['num_labels_found']} of {agreement['num_labels']} labelled boxes are "
            f"overlapped by a detection at IoU {HALF}: are its boxes [left, top, width, height] in "
            "pixels of the image as it is on disk, and are its images these?"
        )
    for text in told:
        message = f"{name}: {text}"
        warnings.warn(message, DetectionsWarning, stacklevel=stack_level_of_caller())


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
    """Return the detections of an image in pixels of the letterboxed image, padded with -1."""
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
