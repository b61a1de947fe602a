"""MATLAB files (version 5 to 7.2) as far as annotations need: cells, structures, text, numbers.

Not through `scipy.io.loadmat`, whose compiled parser kills the process at about one in 300 randomly
damaged files (SciPy 1.17); this one checks every length before it follows it. Format: MAT-File
Format, The MathWorks, 2019, chapter 1.
"""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path

import numpy as np

from keras_hkd.errors import InvalidValueError

_HEADER_BYTES = 128
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8"}
_NUMBERS |= {12: "<i8", 13: "<u8"}
_TEXT = {1: "latin-1", 2: "utf-8", 4: "utf-16-le", 16: "utf-8", 17: "utf-16-le", 18: "utf-32-le"}
_CELL, _STRUCTURE, _CHAR, _NUMERIC = 1, 2, 4, range(6, 16)
_COMPLEX = 0x0800


class MatFileError(InvalidValueError):
    """A MATLAB file is damaged or holds what this reader does not know."""


def read_mat(path: Path) -> dict[str, object]:
    """Read the variables of a MATLAB file.

    Args:
        path: a file of version 5 to 7.2, compressed or not (7.3 is HDF5 and is refused).

    Returns:
        Name -> value: a cell array as list (column by column), a structure as dict, several of one
        array as list of dicts, text as str, numbers as array of the stated shape.

    Raises:
        MatFileError: it is damaged or of another kind.
        OSError: it cannot be opened.
    """
    content = path.read_bytes()
    if len(content) < _HEADER_BYTES or content[124:128] != b"\x00\x01IM":
        raise MatFileError("it does not begin as a MATLAB file of version 5 to 7.2 does")
    variables = {}
    try:
        for kind, data in _elements(content[_HEADER_BYTES:]):
            if kind == _COMPRESSED:
                ((kind, data),) = _elements(zlib.decompress(data))
            name, value = _matrix(kind, data)
            variables[name] = value
    except (zlib.error, struct.error, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise error if isinstance(error, MatFileError) else MatFileError(str(error)) from error
    return variables


def _elements(data: bytes) -> list[tuple[int, bytes]]:
    """Cut bytes into their elements: (kind, content)."""
    elements, start = [], 0
    while start < len(data):
        kind, length = struct.unpack_from("<II", data, start)
        body = start + 8
        if kind >> 16:  # a small element: both in four bytes, the content in the next four
            kind, length, body = kind & 0xFFFF, kind >> 16, start + 4
            start += 8
        else:
            start = body + length
            start += 0 if kind == _COMPRESSED else -length % 8
        if body + length > len(data) or (body == start - 4 and length > 4):
            raise MatFileError(f"an element of {length} bytes ends outside its place")
        elements.append((kind, data[body : body + length]))
    return elements


def _matrix(kind: int, data: bytes) -> tuple[str, object]:
    if kind != _MATRIX:
        raise MatFileError(f"an element of kind {kind} stands where an array must be")
    if not data:
        return "", np.zeros((0, 0))
    parts = _elements(data)
    if len(parts) < 3:
        raise MatFileError("an array has no head")
    flags, shape = _numbers(parts[0]).tolist(), tuple(_numbers(parts[1]).tolist())
    if not flags or not all(isinstance(n, int) and n >= 0 for n in (*flags, *shape)):
        raise MatFileError("an array's head is damaged")
    return _text(parts[2]), _value(flags[0], shape, parts[3:])


def _value(flags: int, shape: tuple[int, ...], parts: list[tuple[int, bytes]]) -> object:
    kind = flags & 0xFF
    if kind == _CELL:
        _expect(len(parts), math.prod(shape))
        return [_matrix(*part)[1] for part in parts]
    if kind == _STRUCTURE:
        structures = _structures(parts, math.prod(shape))
        return structures[0] if math.prod(shape) == 1 else structures
    if kind == _CHAR:
        _expect(len(parts), 1)
        return _text(parts[0])
    if kind in _NUMERIC and not flags & _COMPLEX:
        _expect(len(parts), 1)
        numbers = _numbers(parts[0])
        _expect(numbers.size, math.prod(shape))
        return numbers.reshape(shape, order="F")
    raise MatFileError(f"an array of kind {kind} and shape {shape} is not read")


def _structures(parts: list[tuple[int, bytes]], count: int) -> list[dict[str, object]]:
    if len(parts) < 2 or _numbers(parts[0]).size != 1:
        raise MatFileError("a structure has no names")
    length, names = int(_numbers(parts[0])[0]), parts[1][1]
    if not 0 < length <= 64:
        raise MatFileError(f"names of {length} bytes")
    starts = range(0, len(names), length)
    fields = [names[i : i + length].split(b"\0")[0].decode("ascii") for i in starts]
    _expect(len(parts) - 2, count * len(fields))
    values = [_matrix(*part)[1] for part in parts[2:]]
    rows = range(0, len(values), len(fields) or 1)
    return [dict(zip(fields, values[i:], strict=False)) for i in rows]


def _expect(found: int, stated: int) -> None:
    if found != stated:
        raise MatFileError(f"an array states {stated} values and holds {found}")


def _numbers(part: tuple[int, bytes]) -> np.ndarray:
    kind, data = part
    if kind not in _NUMBERS:
        raise MatFileError(f"numbers of kind {kind}")
    return np.frombuffer(data, _NUMBERS[kind])


def _text(part: tuple[int, bytes]) -> str:
    kind, data = part
    if kind not in _TEXT:
        raise MatFileError(f"text of kind {kind}")
    return data.decode(_TEXT[kind])
