"""The one home of the record checks: what a record must be, and what happens if it is not."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Mapping

import numpy as np

from keras_hkd.boxes.formats import convert
from keras_hkd.boxes.geometry import clip
from keras_hkd.data.annotations import BadDataError, BadRecord, ImageAnnotation
from keras_hkd.data.formats.records import BoxRecord, ImageRecord, Records

CHOICES = ("raise", "skip")
MAX_SIZE_PX = 1_000_000
MAX_COORDINATE_PX = 1e9


class RecordProblem(ValueError):
    """Says what is wrong with a record; `BadRecords.record` adds file and record."""


class BadRecords:
    """Raises at the first bad record, or counts them and goes on.

    Args:
        on_bad_data: "raise", or "skip" to leave a bad record out: a bad box alone, a bad image with
            all its boxes. Files that hold many records raise where they are bad as a whole.

    Raises:
        ValueError: another word than these two.

    Example:
        >>> bad = BadRecords("skip")
        >>> for width in (4, -1):
        ...     with bad.record("boxes.json", f"width {width}"):
        ...         print(integer(width, "width", minimum=1))
        4
        >>> print(bad.skipped[0])
        boxes.json: width -1: width must be a whole number from 1, got -1
    """

    def __init__(self, on_bad_data: str = "raise"):
        if on_bad_data not in CHOICES:
            raise ValueError(f"`on_bad_data` must be one of {CHOICES}, got {on_bad_data!r}.")
        self.on_bad_data = on_bad_data
        self.skipped: list[BadRecord] = []

    def report(self, file: str | os.PathLike, record: str, problem: str) -> None:
        """Raise for this record, or count it as skipped."""
        if self.on_bad_data == "raise":
            raise BadDataError(file, record, problem)
        self.skipped.append(BadRecord(str(file), record, problem))

    @contextlib.contextmanager
    def record(self, file: str | os.PathLike, record: str) -> Iterator[None]:
        """Run the checks of one record: a `RecordProblem` inside ends the block and is reported."""
        try:
            yield
        except RecordProblem as problem:
            self.report(file, record, str(problem))


class Unique:
    """Refuses a value that was seen before.

    Args:
        what: what the values are, for the message.
    """

    def __init__(self, what: str):
        self.what = what
        self._seen: dict = {}

    def add(self, value, where: str) -> None:
        """Remember a value; a `RecordProblem` if it is there already."""
        if value in self._seen:
            raise RecordProblem(
                f"each {self.what} must be used once, got {value!r} again (first in "
                f"{self._seen[value]}): rename or delete one of the two"
            )
        self._seen[value] = where


def shown(value) -> str:
    """Give a value as an error message shows it, cut to a readable length."""
    try:
        text = repr(value)
    except ValueError:  # whole numbers of thousands of digits have no text form
        text = "a number of thousands of digits"
    return text if len(text) <= 80 else text[:77] + "..."


def number(value, what: str, text: bool = False) -> float:
    """Check that a value is a finite number.

    Args:
        value: what the file holds.
        what: its name, for the message.
        text: whether numbers come as text (in XML and text formats).

    Raises:
        RecordProblem: it is none, or too large for a coordinate.
    """
    wanted = str if text else (int, float)
    try:
        if isinstance(value, bool) or not isinstance(value, wanted):
            raise TypeError
        result = float(value)
    except (TypeError, ValueError, OverflowError):
        raise RecordProblem(f"{what} must be a number, got {shown(value)}") from None
    if not math.isfinite(result) or abs(result) > MAX_COORDINATE_PX:
        raise RecordProblem(f"{what} must be a finite number of pixels, got {shown(value)}")
    return result


def integer(
    value, what: str, minimum: int = 0, maximum: int | None = None, text: bool = False
) -> int:
    """Check that a value is a whole number within limits.

    Args:
        value: what the file holds.
        what: its name, for the message.
        minimum: the smallest that is allowed.
        maximum: the largest that is allowed; None for no limit.
        text: whether numbers come as text.

    Raises:
        RecordProblem: it is none, or outside the limits.
    """
    limits = f"from {minimum}" + ("" if maximum is None else f" to {maximum}")
    wanted = f"{what} must be a whole number {limits}, got {shown(value)}"
    try:
        result = number(value, what, text)
    except RecordProblem:
        raise RecordProblem(wanted) from None
    if result != int(result) or result < minimum or (maximum is not None and result > maximum):
        raise RecordProblem(wanted)
    return int(result)


def flag(value, what: str) -> bool:
    """Check that a value is 0 or 1 (or true or false)."""
    if value not in (0, 1) or not isinstance(value, int):
        raise RecordProblem(f"{what} must be 0 or 1, got {shown(value)}")
    return bool(value)


def words(value, what: str) -> str:
    """Check that a value is text with something in it."""
    if not isinstance(value, str) or not value.strip():
        raise RecordProblem(f"{what} must be text, got {shown(value)}")
    return value


def identifier(value, what: str) -> int | str:
    """Check that a value can be an id: a whole number or text."""
    if isinstance(value, bool) or not isinstance(value, (int, str)) or value == "":
        raise RecordProblem(f"{what} must be a whole number or text, got {shown(value)}")
    return value


def mapping(value, what: str) -> Mapping:
    """Check that a value is a JSON object."""
    if not isinstance(value, dict):
        raise RecordProblem(f"{what} must be an object {{...}}, got {shown(value)}")
    return value


def four_numbers(values, what: str, text: bool = False) -> list[float]:
    """Check that a value is a list of four finite numbers."""
    if not isinstance(values, (list, tuple)) or len(values) != 4:
        raise RecordProblem(f"{what} must be four numbers, got {shown(values)}")
    return [number(value, what, text) for value in values]


def checked_size(width, height) -> tuple[int, int]:
    """Check an image's size as a record states it: (width, height) in pixels."""
    return (
        integer(width, "the image's width", 1, MAX_SIZE_PX),
        integer(height, "the image's height", 1, MAX_SIZE_PX),
    )


def checked_annotation(
    image: ImageRecord, records: Records, class_index: Mapping[str, int], bad: BadRecords
) -> ImageAnnotation:
    """Turn the boxes of an image, whose path and size are settled, into an annotation.

    Boxes of unwanted classes are dropped before anything else about them is checked. A box partly
    outside the image is cut at its edge, unless the format allows it (`boxes_may_reach_out`:
    CityPersons and Caltech mark the whole body, and their miss rates are defined on it); a box
    wholly outside is bad.

    Args:
        image: the image's record.
        records: the records that it belongs to.
        class_index: canonical class name -> index.
        bad: takes the bad boxes.
    """
    rows = []
    for box in image.boxes:
        if box.class_name not in class_index:
            continue
        with bad.record(image.file, box.record):
            values = four_numbers(box.values, "the box", records.numbers_as_text)
            visible = values
            if box.visible is not None:
                visible = four_numbers(box.visible, "the visible box", records.numbers_as_text)
            rows.append((box, values, visible))
    boxes = _corners([values for _, values, _ in rows], image, records)
    visible = _corners([values for _, _, values in rows], image, records)
    kept = []
    for index, (box, values, _) in enumerate(rows):
        with bad.record(image.file, box.record):
            _check_geometry(boxes[index].tolist(), image, values, records.box_format)
            _check_visible(visible[index].tolist(), box)
            kept.append(index)
    boxes, visible = boxes[kept], visible[kept]
    if not records.boxes_may_reach_out:
        boxes, visible = (clip(one, (image.height, image.width)) for one in (boxes, visible))
    return ImageAnnotation(
        image_path=image.image_path,
        image_id=image.image_id,
        width=image.width,
        height=image.height,
        boxes=boxes,
        classes=[class_index[rows[index][0].class_name] for index in kept],
        ignore=[rows[index][0].ignore for index in kept],
        visible_boxes=visible,
    )


def _corners(values: list, image: ImageRecord, records: Records) -> np.ndarray:
    array = np.array(values, np.float64).reshape(-1, 4)
    if records.box_format == "pascal":  # corner pixels, both inside, counted from 1
        return array - [1, 1, 0, 0]
    if records.box_format == "rel_center_xywh":
        array = array * [image.width, image.height, image.width, image.height]
        return convert(array, "center_xywh", "xyxy")
    return convert(array, records.box_format, "xyxy")


def _check_geometry(corners: list[float], image: ImageRecord, values, box_format: str) -> None:
    left, top, right, bottom = corners
    box = f"the box {values} ({box_format})"
    for side, length in (("width", right - left), ("height", bottom - top)):
        if not length > 0:
            raise RecordProblem(f"{box} must have a {side} above 0, got {length:g}: delete it")
    if right <= 0 or bottom <= 0 or left >= image.width or top >= image.height:
        raise RecordProblem(
            f"{box} must overlap its image of {image.width} x {image.height} px, but lies wholly "
            "outside: check the image size and the order of the numbers, or delete it"
        )


def _check_visible(corners: list[float], box: BoxRecord) -> None:
    left, top, right, bottom = corners
    if right < left or bottom < top:
        raise RecordProblem(
            f"the visible box {list(box.visible)} must not have a negative width or height: "
            "correct it, or leave it out where it is unknown"
        )
