"""Formats with one text file for each image: what their readers do alike."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from keras_hkd.data.formats.bad_records import BadRecords
from keras_hkd.data.formats.folders import files_below
from keras_hkd.data.formats.records import BoxRecord, ImageRecord, without_suffix
from keras_hkd.data.formats.text_files import WHOLE_FILE, peek, read_text

_NUM_PEEKED = 5


def texts(path: Path, fits: Callable[[str], bool]) -> list[Path]:
    """Give the text files of a path whose first filled line fits; all, if the first few do.

    Args:
        path: a text file, or a folder.
        fits: tells of a line whether it is of the format.
    """
    if path.is_file():
        return [path] if path.suffix.lower() == ".txt" and _fits(path, fits) else []
    found = (file for file in files_below(path, ".txt") if file.parent != path)
    first = list(itertools.islice(found, _NUM_PEEKED))
    filled = [file for file in first if peek(file, 400).strip()]
    if not filled or not all(_fits(file, fits) for file in filled):
        return []
    return sorted([*first, *found])


def _fits(file: Path, fits: Callable[[str], bool]) -> bool:
    lines = peek(file, 400).strip().splitlines()
    return bool(lines) and fits(lines[0])


def numbers_in(line: str, separator: str | None = None) -> list[float] | None:
    """Give the numbers of a line; None where something else stands in it."""
    try:
        fields = line.strip().strip(separator).split(separator)
        return [float(field) for field in fields]
    except ValueError:
        return None


def images_of_texts(
    files: Iterable[Path], bad: BadRecords, box: Callable[[str, str], BoxRecord | None]
) -> Iterator[ImageRecord]:
    """Read text files, a box in each line; a bad file is a bad image, a bad line a bad box.

    Args:
        files: the files, named as their images are.
        bad: takes bad records.
        box: makes the record of a line, given the line and its place; None for a line without one.
    """
    for file, text in bad.readable(files, read_text):
        name = without_suffix(file.name[: -len(file.suffix)])
        image = ImageRecord(str(file), WHOLE_FILE, name, name)
        for number, line in enumerate(text.splitlines(), start=1):
            place = f"line {number}"
            if line.strip():
                with bad.record(file, place):
                    record = box(line, place)
                    if record is not None:
                        image.boxes.append(record)
        yield image
