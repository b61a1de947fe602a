"""Boxes of all images at once, checked and turned into annotations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from keras_hkd.boxes.formats import convert
from keras_hkd.data.annotations import ImageAnnotation
from keras_hkd.data.formats.bad_records import (
    MAX_COORDINATE_PX,
    BadRecords,
    RecordProblem,
    four_numbers,
)
from keras_hkd.data.formats.records import BoxRecord, ImageRecord


def checked_annotations(
    images: Sequence[ImageRecord],
    box_format: str,
    class_index: Mapping[Any, int],
    bad: BadRecords,
) -> list[ImageAnnotation]:
    """Turn the boxes of images, whose paths and sizes are settled, into annotations.

    Boxes of unwanted classes are dropped before anything else about them is checked. Boxes stay as
    annotated, also where they reach out of the image; one wholly outside is bad.

    Args:
        images: the images' records.
        box_format: as `Records` takes it.
        class_index: category -> index of the class.
        bad: takes the bad boxes.
    """
    rows = [
        (position, box)
        for position, image in enumerate(images)
        for box in image.boxes
        if box.category in class_index
    ]
    owners = np.array([position for position, _ in rows], np.int64)
    boxes = [box for _, box in rows]
    problems: dict[int, str] = {}
    values = _numbers([box.values for box in boxes], "the box", problems)
    corners = _corners(values, box_format, owners, images)
    sizes = np.array([(image.width, image.height) for image in images], np.float64).reshape(-1, 2)
    sizes[sizes == 0] = np.inf  # not known
    _check_geometry(corners, sizes[owners], boxes, box_format, problems)
    visible = _visible_corners(boxes, corners, box_format, owners, images, problems)
    for row in sorted(problems):
        with bad.record(images[owners[row]].file, boxes[row].place):
            raise RecordProblem(problems[row])
    if problems:
        kept = np.setdiff1d(np.arange(len(rows)), list(problems))
        boxes, owners = [boxes[row] for row in kept], owners[kept]
        corners, visible = corners[kept], visible[kept]
    columns = _Columns(boxes, corners, visible, class_index)
    counts = np.bincount(owners, minlength=len(images))
    return columns.split(images, np.concatenate([[0], np.cumsum(counts)]).tolist())


def _numbers(values: list, what: str, problems: dict[int, str]) -> np.ndarray:
    """Collect corners as float64 `(n, 4)`; rows without four numbers are nan and get a problem."""
    try:
        if {*map(len, values)} <= {4} and {*map(type, chain.from_iterable(values))} <= {int, float}:
            array = np.array(values, np.float64).reshape(-1, 4)
            if (np.abs(array) <= MAX_COORDINATE_PX).all():
                return array
    except (TypeError, OverflowError):
        pass
    array = np.full((len(values), 4), np.nan)
    for row, one in enumerate(values):
        try:
            array[row] = four_numbers(one, what)
        except RecordProblem as problem:
            problems.setdefault(row, str(problem))
    return array


def _corners(values: np.ndarray, box_format: str, owners: Any, images: Any) -> np.ndarray:
    if box_format == "pascal":  # corner pixels, both inside, counted from 1
        return values - [1, 1, 0, 0]
    if box_format.startswith("rel_"):
        sides = np.array([(image.width, image.height) * 2 for image in images], np.float64)
        values = values * sides.reshape(-1, 4)[owners]
        return convert(values, box_format.removeprefix("rel_"), "xyxy")
    return convert(values, box_format, "xyxy")


def _check_geometry(
    corners: np.ndarray,
    sizes: np.ndarray,
    boxes: Sequence[BoxRecord],
    box_format: str,
    problems: dict[int, str],
) -> None:
    sides = corners[:, 2:] - corners[:, :2]
    with np.errstate(invalid="ignore"):
        flat = ~(sides > 0).all(axis=1)
        outside = (corners[:, 2:] <= 0).any(axis=1) | (corners[:, :2] >= sizes).any(axis=1)
    for row in np.flatnonzero(flat | outside).tolist():
        if row in problems:
            continue
        box = f"the box {list(boxes[row].values)} ({box_format})"
        if flat[row]:
            which = 0 if not sides[row, 0] > 0 else 1
            side, length = ("width", "height")[which], sides[row, which]
            problem = f"{box} must have a {side} above 0: delete it. Received: {length:g}"
        elif box_format.startswith("rel_") and _are_no_shares(boxes[row].values):
            problem = (
                f"the box {list(boxes[row].values)} must be given in shares of the picture, from 0 "
                "to 1: divide by its width and height. Received: numbers that look like pixels or "
                "per cent"
            )
        else:
            width, height = sizes[row].astype(int)
            problem = (
                f"{box} must overlap its image of {width} x {height} px: check the image size and "
                "the order of the numbers, or delete it. Received: one that lies wholly outside"
            )
        problems[row] = problem


_LARGEST_SHARE = 2.0


def _are_no_shares(values: Sequence) -> bool:
    """Tell whether numbers that are to be shares of a picture are far above 1."""
    return float(np.abs(np.asarray(values, float)).max()) > _LARGEST_SHARE


def _visible_corners(
    boxes: Any,
    corners: np.ndarray,
    box_format: str,
    owners: np.ndarray,
    images: Any,
    problems: dict[int, str],
) -> np.ndarray:
    known = [row for row, box in enumerate(boxes) if box.visible is not None]
    if not known:
        return corners
    found: dict[int, str] = {}
    values = _numbers([boxes[row].visible for row in known], "the visible box", found)
    given = _corners(values, box_format, owners[known], images)
    negative = (given[:, 2:] < given[:, :2]).any(axis=1)
    for index in np.flatnonzero(negative).tolist():
        found.setdefault(
            index,
            f"the visible box {list(boxes[known[index]].visible)} must not have a negative width "
            "or height: correct it, or leave it out where it is unknown",
        )
    for index, problem in found.items():
        problems.setdefault(known[index], problem)
    visible = corners.copy()
    visible[known] = given
    return visible


class _Columns:
    """What is known of all boxes, a column each; None where no record says it."""

    def __init__(
        self, boxes: Any, corners: np.ndarray, visible: np.ndarray, class_index: Any
    ) -> None:
        self.boxes = corners
        self.visible = visible
        self.classes = np.array([class_index[box.category] for box in boxes], np.int32)
        self.ignore = np.array([box.ignore for box in boxes], bool)
        self.crowd = _column([box.crowd for box in boxes], self.ignore, bool)
        self.occlusion = _column([box.occlusion for box in boxes], np.zeros(len(boxes)), np.int32)
        self.areas = _column([box.area for box in boxes], _areas(corners), np.float64)
        self.visibility = _column(
            [box.visibility for box in boxes], _shares(corners, visible), np.float64
        )
        ids = [box.id for box in boxes]
        whole = all(isinstance(i, int) and -(2**63) <= i < 2**63 for i in ids) and len(ids) > 0
        self.ids = np.array(ids, np.int64) if whole else None

    def split(self, images: Sequence[ImageRecord], starts: list[int]) -> list[ImageAnnotation]:
        """Make one annotation for each image."""
        for column in vars(self).values():
            if column is not None:
                column.setflags(write=False)  # so that the images share it and copy nothing
        annotations = []
        for image, start, end in zip(images, starts[:-1], starts[1:], strict=True):
            rows = slice(start, end)

            def part(column: Any, rows: Any = rows) -> Any:
                return None if column is None else column[rows]

            annotations.append(
                ImageAnnotation(
                    image_path=image.image_path,
                    image_id=image.image_id,
                    width=image.width or 0,
                    height=image.height or 0,
                    boxes=self.boxes[rows],
                    classes=self.classes[rows],
                    ignore=self.ignore[rows],
                    visible_boxes=self.visible[rows],
                    name=image.file_name,
                    crowd=part(self.crowd),
                    visibility=part(self.visibility),
                    occlusion=part(self.occlusion),
                    areas=part(self.areas),
                    annotation_ids=part(self.ids),
                )
            )
        return annotations


def _column(values: list, default: np.ndarray, dtype: Any) -> np.ndarray | None:
    """Make an array of values, `default` where one is None; None if all are."""
    known = [row for row, value in enumerate(values) if value is not None]
    if not known:
        return None
    column = np.array(default, dtype)
    column[known] = [values[row] for row in known]
    return column


def _areas(corners: np.ndarray) -> np.ndarray:
    return (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])


def _shares(corners: np.ndarray, visible: np.ndarray) -> np.ndarray:
    areas = _areas(corners)
    return np.where(areas > 0, _areas(visible) / np.where(areas > 0, areas, 1.0), 1.0)
