"""Text and JSON from disk, plain or gzipped, with errors that name the file."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path

from keras_hkd.data.annotations import BadDataError

WHOLE_FILE = "the whole file"
_READ_ERRORS = (OSError, EOFError, zlib.error, UnicodeDecodeError)


def read_text(path: Path) -> str:
    """Read a UTF-8 text file; one whose name ends in .gz is unpacked.

    Args:
        path: the file.

    Raises:
        BadDataError: it cannot be read, unpacked or decoded.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        return content.decode("utf-8-sig")
    except _READ_ERRORS as error:
        problem = f"expected a readable UTF-8 text file, got {type(error).__name__}: {error}"
        raise BadDataError(path, WHOLE_FILE, f"{problem}: fetch or export it again") from error


def read_json(path: Path) -> object:
    """Read a JSON file, plain or gzipped.

    Args:
        path: the file.

    Raises:
        BadDataError: it cannot be read, or is not valid JSON.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except RecursionError:
        problem = "expected JSON of a few levels, got one nested too deeply"
    except ValueError as error:
        problem = f"expected valid JSON, got {error}: the file may be truncated, fetch it again"
    raise BadDataError(path, WHOLE_FILE, problem)


def peek(path: Path, num_bytes: int = 4096) -> str:
    """Give the beginning of a file to recognise its format by; "" if it cannot be read."""
    try:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rb") as file:
            return file.read(num_bytes).decode("utf-8", errors="replace").lstrip("\ufeff")
    except (OSError, EOFError, zlib.error):
        return ""


def is_json(path: Path) -> bool:
    """Tell by its name whether a file is JSON, plain or gzipped."""
    return path.name.lower().endswith((".json", ".json.gz"))
