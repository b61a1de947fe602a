"""Text and JSON from disk, plain or gzipped, with errors that name the file."""

from __future__ import annotations

import codecs
import contextlib
import functools
import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from keras_hkd.data.annotations import BadDataError

WHOLE_FILE = "the whole file"
_READ_ERRORS = (OSError, EOFError, zlib.error, UnicodeError)
_LARGE_BYTES = 20_000_000
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def read_bytes(path: Path) -> bytes:
    """Read a file; one that is gzipped is unpacked.

    Args:
        path: the file.

    Raises:
        BadDataError: it cannot be read or unpacked.
    """
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except _READ_ERRORS as error:
        raise BadDataError(path, WHOLE_FILE, _unreadable(error)) from error


def read_text(path: Path) -> str:
    """Read a UTF-8 text file, or one of UTF-16 that says so at its beginning; see `read_bytes`.

    Args:
        path: the file.

    Raises:
        BadDataError: it cannot be read, unpacked or decoded.
    """
    content = read_bytes(path)
    mark = next((encoding for mark, encoding in _MARKS.items() if content.startswith(mark)), None)
    try:
        return content.decode(mark or "utf-8")
    except UnicodeError as error:
        raise BadDataError(path, WHOLE_FILE, _unreadable(error)) from error


def _unreadable(error: Exception) -> str:
    wanted = "expected a readable UTF-8 text file: fetch or export it again"
    return f"{wanted}. Received: {type(error).__name__}: {error}"


def read_json(path: Path, into: Any = Any) -> Any:
    """Read a JSON file, plain or gzipped.

    Args:
        path: the file.
        into: what it is to become, as `msgspec` has it: a structure that names what is wanted
            saves time and memory. What does not fit it comes as plain lists and dicts instead.

    Raises:
        BadDataError: it cannot be read, or is not valid JSON.
    """
    with _announced_if_large(path):
        content = read_bytes(path)
        with contextlib.suppress(msgspec.MsgspecError, RecursionError, UnicodeError):
            return msgspec.json.decode(content.removeprefix(codecs.BOM_UTF8), type=into)
        del content  # what is damaged, or has NaN, which JSON has not and Python writes
        return _read_loosely(path)


def _read_loosely(path: Path) -> object:
    text = read_text(path)
    try:
        return json.loads(text)
    except RecursionError:
        problem = "expected JSON of a few levels. Received: one nested too deeply"
    except ValueError as error:
        wanted = "expected valid JSON: the file may be truncated, fetch it again"
        problem = f"{wanted}. Received: {error}"
    raise BadDataError(path, WHOLE_FILE, problem)


@contextlib.contextmanager
def _announced_if_large(path: Path) -> Iterator[None]:
    """Say on the error stream, if it is a terminal, that a large file is being read."""
    try:
        num_bytes = path.stat().st_size
    except OSError:
        num_bytes = 0
    if num_bytes < _LARGE_BYTES:
        yield
        return
    from rich.console import Console

    console = Console(stderr=True, emoji=False)
    with console.status(f"Reading {path.name} ({num_bytes / 1e6:,.0f} MB)"):
        yield


def peek(path: Path, num_bytes: int = 4096) -> str:
    """Give the beginning of a file to recognise its format by; "" if it cannot be read."""
    try:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rb") as file:
            content = file.read(num_bytes)
    except (OSError, EOFError, zlib.error):
        return ""
    encoding = "utf-16" if content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8"
    return content.decode(encoding, errors="replace").lstrip("\ufeff")


def is_json(path: Path) -> bool:
    """Tell by its name whether a file is JSON, plain or gzipped."""
    return path.name.lower().endswith((".json", ".json.gz"))


def mentions(path: Path, word: str) -> bool:
    """Tell whether a word stands anywhere in a file, plain or gzipped; False if it is not read.

    Args:
        path: the file.
        word: what is looked for, of ASCII letters.
    """
    try:
        stat = path.stat()
    except OSError:
        return False
    return _mentions(path, word.encode(), stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=4096)
def _mentions(path: Path, word: bytes, changed_ns: int, num_bytes: int) -> bool:
    opener = gzip.open if path.suffix == ".gz" else open
    rest = b""
    try:
        with opener(path, "rb") as file:
            while chunk := file.read(1 << 22):
                if word in rest + chunk:
                    return True
                rest = chunk[-len(word) :]
    except (OSError, EOFError, zlib.error):
        return False
    return False
