"""Checks the records of annotation files; raises at faulty ones, or counts them."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from keras_hkd.data.annotations import BadDataError, BadRecord
from keras_hkd.errors import InvalidValueError

Content = TypeVar("Content")
CHOICES = ("raise", "skip")
MAX_SIZE_PX = 1_000_000
MAX_COORDINATE_PX = 1e9
_FLAGS = {"0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}


class RecordProblem(InvalidValueError):
    """A record is faulty; `BadRecords.record` adds file and record to the message."""


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
    boxes.json: width -1: width must be a whole number from 1. Received: -1
    """

    def __init__(self, on_bad_data: str = "raise") -> None:
        if on_bad_data not in CHOICES:
            raise InvalidValueError(
                f"`on_bad_data` must be one of {CHOICES}. Received: {on_bad_data!r}"
            )
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

    def readable(
        self, files: Iterable[Path], read: Callable[[Path], Content]
    ) -> Iterator[tuple[Path, Content]]:
        """Read files of one image each; one that cannot be read is a bad image.

        Args:
            files: paths of the files.
            read: reads one; a `BadDataError` says that it cannot be.

        Yields:
            The path and the content of each file that can be read.
        """
        for file in files:
            try:
                content = read(file)
            except BadDataError as error:
                self.report(error.file, error.record, error.problem)
            else:
                yield file, content


class Unique:
    """Refuses a value that was seen before, unless the whole record was.

    Args:
        what: what the values are, for the message.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._seen: dict = {}

    def add(self, value: Any, where: str | int, record: object = None) -> bool:
        """Remember a value; a `RecordProblem` if it is there already.

        Args:
            value: what must be used once.
            where: where it is, for the message.
            record: the whole record; one that is equal to the first of this value is no fault.

        Returns:
            Whether the value is new.
        """
        if value not in self._seen:
            self._seen[value] = (where, record)
            return True
        first, same = self._seen[value]
        if record is not None and record == same:
            return False
        raise RecordProblem(
            f"each {self.what} must be used once: rename or delete one of the two. "
            f"Received: {value!r} again (first in {first})"
        )


def shown(value: Any) -> str:
    """Give a value as an error message shows it, cut to a readable length."""
    try:
        text = repr(value)
    except ValueError:  # whole numbers of thousands of digits have no text form
        text = "a number of thousands of digits"
    return text if len(text) <= 80 else text[:77] + "..."


def number(value: Any, what: str) -> float:
    """Check that a value is a finite number, or the text of one.

    Args:
        value: what the file holds.
        what: its name, for the message.

    Raises:
        RecordProblem: it is none, or too large for a coordinate.
    """
    try:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise TypeError
        result = float(value)
    except (TypeError, ValueError, OverflowError):
        raise RecordProblem(f"{what} must be a number. Received: {shown(value)}") from None
    if not math.isfinite(result) or abs(result) > MAX_COORDINATE_PX:
        raise RecordProblem(f"{what} must be a finite number of pixels. Received: {shown(value)}")
    return result


def integer(value: Any, what: str, minimum: int = 0, maximum: int | None = None) -> int:
    """Check that a value is a whole number within limits, or the text of one.

    Args:
        value: what the file holds.
        what: its name, for the message.
        minimum: the smallest that is allowed.
        maximum: the largest that is allowed; None for no limit.

    Raises:
        RecordProblem: it is none, or outside the limits.
    """
    limits = f"from {minimum}" + ("" if maximum is None else f" to {maximum}")
    wanted = f"{what} must be a whole number {limits}. Received: {shown(value)}"
    try:
        result = number(value, what)
    except RecordProblem:
        raise RecordProblem(wanted) from None
    if result != int(result) or result < minimum or (maximum is not None and result > maximum):
        raise RecordProblem(wanted)
    return int(result)


def flag(value: Any, what: str) -> bool:
    """Check that a value is 0 or 1, true or false, as number or as text."""
    if isinstance(value, (bool, int, float)) and value in (0, 1):
        return bool(value)
    found = _FLAGS.get(value.strip().lower()) if isinstance(value, str) else None
    if found is None:
        raise RecordProblem(f"{what} must be 0 or 1. Received: {shown(value)}")
    return found


def words(value: Any, what: str) -> str:
    """Check that a value is text with something in it."""
    if not isinstance(value, str) or not value.strip():
        raise RecordProblem(f"{what} must be text. Received: {shown(value)}")
    return value


def identifier(value: Any, what: str) -> int | str:
    """Check that a value can be an id: a whole number (3.0 is 3) or text."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, (int, str)) or value == "":
        raise RecordProblem(f"{what} must be a whole number or text. Received: {shown(value)}")
    return value


def mapping(value: Any, what: str) -> Mapping:
    """Check that a value is a JSON object."""
    if not isinstance(value, dict):
        raise RecordProblem(f"{what} must be an object {{...}}. Received: {shown(value)}")
    return value


def four_numbers(values: Any, what: str) -> list[float]:
    """Check that a value is a list of four finite numbers."""
    if not isinstance(values, (list, tuple)) or len(values) != 4:
        raise RecordProblem(f"{what} must be four numbers. Received: {shown(values)}")
    return [number(value, what) for value in values]


def checked_size(width: Any, height: Any) -> tuple[int, int]:
    """Check an image's size as a record states it: (width, height) in pixels."""
    return (
        integer(width, "the image's width", 1, MAX_SIZE_PX),
        integer(height, "the image's height", 1, MAX_SIZE_PX),
    )
