"""The layout of the outputs for one view of an image in a row of two-byte numbers.

float16 has eleven significant bits: near -7, where a trained detector's background logits lie, its
resolution is 0.004. Therefore the distance from the mean of the image's values is stored, scaled to
the range of float16; mean and scale precede the values.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_hkd.errors import InvalidValueError
from keras_hkd.tensors import Tensor, TensorDict

HALF, WHOLE = "float16", "uint16"
_HEADER = 4  # numbers before halves: mean and scale as float32
_TOP_EXPONENT = 14


@dataclasses.dataclass(frozen=True)
class Field:
    """One tensor of a row.

    Args:
        name: name of the tensor, such as `class_logits` or `pyramid/P3`.
        shape: shape for one image.
        dtype: `"float16"` or `"uint16"`.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = HALF

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(side) for side in self.shape))
        if self.dtype not in (HALF, WHOLE):
            raise InvalidValueError(
                f"`dtype` must be {HALF!r} or {WHOLE!r}. Received: {self.dtype!r}"
            )

    @property
    def length(self) -> int:
        """Number of two-byte numbers."""
        return math.prod(self.shape) + (_HEADER if self.dtype == HALF else 0)


@dataclasses.dataclass(frozen=True)
class RowFormat:
    """The sequence of fields in a row.

    Args:
        fields: the fields, in order.

    Example:

    >>> rows = RowFormat((Field("a", (2,)), Field("b", (1, 1), "uint16")))
    >>> packed = rows.pack({"a": np.array([[0.5, -2.0]]), "b": np.array([[[7]]])})
    >>> rows.row_bytes, packed.shape
    (14, (1, 7))
    >>> found = rows.unpack(packed)
    >>> found["b"].tolist(), restored(found["a"]).numpy().tolist()
    ([[[7]]], [[0.5, -2.0]])
    """

    fields: tuple[Field, ...]

    @property
    def row_bytes(self) -> int:
        """Size of a row in bytes."""
        return 2 * sum(field.length for field in self.fields)

    def pack(self, values: dict) -> np.ndarray:
        """Pack the rows of a batch.

        Args:
            values: dict from the name of a field to an array `(b, *shape)`.

        Returns:
            little-endian uint16 `(b, row length)`.

        Raises:
            ValueError: if a shape is not the field's, or a value is not finite.
        """
        columns = []
        for field in self.fields:
            value = np.asarray(values[field.name])
            if value.shape[1:] != field.shape:
                raise InvalidValueError(
                    f"{field.name} must be of shape {field.shape} for each image. "
                    f"Received: {value.shape[1:]}"
                )
            value = value.reshape(len(value), -1)
            if field.dtype == HALF:
                if not np.isfinite(value).all():
                    raise InvalidValueError(
                        f"The teacher's {field.name} must be finite: look for damaged weights. "
                        "Received: infinity or NaN"
                    )
                value = _as_halves(value)
            columns.append(value.astype("<u2"))
        return np.concatenate(columns, axis=1)

    def unpack(self, rows: Sequence[np.ndarray]) -> dict[str, Any]:
        """Unpack the tensors of rows, each of which is copied once.

        Args:
            rows: `b` rows, uint16 `(row length,)` each.

        Returns:
            dict from the name of a field to uint16 `(b, *shape)`, or to a dict that `restored`
            takes.
        """
        found: dict[str, Any] = {}
        parts: list[tuple[slice, np.ndarray]] = []
        start = 0
        for field in self.fields:
            stop, shape = start + field.length, (len(rows), *field.shape)
            if field.dtype == HALF:
                values, header = np.empty(shape, "<f2"), np.empty((len(rows), 2), "<f4")
                found[field.name] = {"halves": values, "mean_and_scale": header}
                parts.append((slice(start, start + _HEADER), header))
                start += _HEADER
            else:
                found[field.name] = values = np.empty(shape, "<u2")
            parts.append((slice(start, stop), values))
            start = stop
        for place, row in enumerate(rows):
            for part, values in parts:
                values[place] = row[part].view(values.dtype).reshape(values.shape[1:])
        return found

    def to_json(self) -> list:
        """Return the format as plain values."""
        return [[field.name, list(field.shape), field.dtype] for field in self.fields]

    @classmethod
    def from_json(cls, values: Sequence[Any]) -> RowFormat:
        """Build a format from what `to_json` returned."""
        return cls(tuple(Field(name, shape, dtype) for name, shape, dtype in values))


def restored(value: TensorDict) -> Tensor:
    """Restore the float32 values of a float16 field, in `keras.ops`.

    Args:
        value: dict of `halves (b, ...)` and `mean_and_scale (b, 2)`.

    Returns:
        `(b, ...)` float32.
    """
    halves = ops.cast(value["halves"], "float32")
    shape = (-1, *[1] * (len(halves.shape) - 1))
    mean, scale = (ops.reshape(value["mean_and_scale"][:, i], shape) for i in (0, 1))
    return halves * scale + mean


def _as_halves(values: np.ndarray) -> np.ndarray:
    """Pack values as uint16 `(b, 4 + n)`: mean, scale, then `(values - mean) / scale`."""
    values = values.astype(np.float64)
    mean = values.mean(axis=1, keepdims=True).astype("<f4")
    centred = values - mean
    largest = np.abs(centred).max(axis=1, keepdims=True)
    exponent = np.where(largest > 0, np.frexp(largest)[1] - _TOP_EXPONENT, 0)
    scale = np.ldexp(1.0, exponent).astype("<f4")
    header = np.concatenate([mean, scale], axis=1).view("<u2")
    halves = (centred / scale).astype("<f2").view("<u2")
    return np.concatenate([header, halves], axis=1)
