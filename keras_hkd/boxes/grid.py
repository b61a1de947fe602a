"""Where the anchors of a detector lie, and how its boxes are coded."""

from __future__ import annotations

import dataclasses
import functools
import math
from types import ModuleType
from typing import Any

import numpy as np

from keras_hkd.boxes.coding import BoxCoding, coding_from_json, coding_to_json
from keras_hkd.errors import InvalidTypeError, InvalidValueError
from keras_hkd.tensors import Tensor

NO_ANCHOR = ((0.0, 0.0),)
"""Anchor sizes of a cell in families without anchors: one anchor of the size of the stride."""


@dataclasses.dataclass(frozen=True)
class Grid:
    """The grid metadata of an exported file: what an application needs to decode raw heads.

    Anchors are ordered by level, row, column and anchor of the cell. Those of a cell are centred at
    `((column + cell_offset) * stride, (row + cell_offset) * stride)` pixels.

    Args:
        image_size: `(height, width)` in pixels.
        coding: how boxes are coded against the anchors.
        levels: names of the pyramid levels, finest first.
        strides: pixels between neighbouring cells, for each level.
        anchor_sizes: for each level the `(width, height)` in pixels of each anchor of a cell; 0
            stands for the stride, in families without anchors.
        clip_anchors: whether anchors are clipped to the image.
        cell_offset: position of the anchors in a cell: 0.5 for the middle, 0 for the upper left
            corner.

    Raises:
        TypeError: if `coding` is not a `BoxCoding`.
        ValueError: if the numbers of levels, strides and sizes differ.

    Example:

    >>> from keras_hkd.boxes.coding import DistanceBins
    >>> grid = Grid((64, 64), DistanceBins(), ("P5",), (32,), (NO_ANCHOR,))
    >>> grid.num_anchors, grid.priors(np.array([3])).tolist()
    (4, [[48.0, 48.0, 32.0, 32.0]])
    >>> grid.decode(np.zeros((1, 64), "float32"), np.array([0])).tolist()
    [[-224.0, -224.0, 256.0, 256.0]]
    """

    image_size: tuple[int, int]
    coding: BoxCoding
    levels: tuple[str, ...]
    strides: tuple[int, ...]
    anchor_sizes: tuple[tuple[tuple[float, float], ...], ...]
    clip_anchors: bool = False
    cell_offset: float = 0.5

    def __post_init__(self) -> None:
        if not isinstance(self.coding, BoxCoding):
            raise InvalidTypeError(
                "`coding` must be an object of keras_hkd.boxes.coding, such as DistanceBins(). "
                f"Received: {self.coding!r}"
            )
        if not len(self.levels) == len(self.strides) == len(self.anchor_sizes):
            raise InvalidValueError(
                "`levels`, `strides` and `anchor_sizes` must be equally many. Received: "
                f"{len(self.levels)}, {len(self.strides)}, {len(self.anchor_sizes)}"
            )
        if len({len(sizes) for sizes in self.anchor_sizes}) != 1:
            raise InvalidValueError(
                "Every level must have the same number of anchors per cell. "
                f"Received: {[len(sizes) for sizes in self.anchor_sizes]}"
            )

    @property
    def anchors_per_cell(self) -> int:
        """Number of anchors of each cell."""
        return len(self.anchor_sizes[0])

    @property
    def has_anchors(self) -> bool:
        """Whether anchors have their own sizes rather than the size of the stride."""
        return any(max(size) > 0 for sizes in self.anchor_sizes for size in sizes)

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """`(rows, columns)` of each level."""
        height, width = self.image_size
        return tuple((math.ceil(height / s), math.ceil(width / s)) for s in self.strides)

    @property
    def num_anchors(self) -> int:
        """Number of anchors of all levels."""
        return self.anchors_per_cell * sum(rows * columns for rows, columns in self.shapes)

    @functools.cached_property
    def all_priors(self) -> np.ndarray:
        """The priors of all anchors, `(num_anchors, 4)` float32; see `priors`."""
        return self.priors(np.arange(self.num_anchors)).astype(np.float32)

    @functools.cached_property
    def all_strides(self) -> np.ndarray:
        """The stride in pixels of the level of each anchor, `(num_anchors, 1)` float32."""
        counts = [self.anchors_per_cell * rows * columns for rows, columns in self.shapes]
        return np.repeat(np.array(self.strides, np.float32), counts)[:, None]

    def priors(self, indices: Tensor, xp: ModuleType = np) -> Tensor:
        """Compute centre and size of anchors; in families without anchors the size is the stride.

        Args:
            indices: `(n,)` integers below `num_anchors`.
            xp: `numpy` or `keras.ops`.

        Returns:
            `(n, 4)` centre x, centre y, width, height in pixels.
        """
        per_cell = self.anchors_per_cell
        cells = indices if per_cell == 1 else xp.floor_divide(indices, per_cell)
        ends = np.cumsum([rows * columns for rows, columns in self.shapes])
        level = cells * 0
        for end in ends[:-1]:  # a comparison for each level, so that no table travels with a file
            level = level + _as_integer(cells >= int(end), cells, xp)
        local = cells - _look_up([0, *ends[:-1]], level, "int32", xp)
        columns = _look_up([columns for _, columns in self.shapes], level, "int32", xp)
        stride = _look_up(self.strides, level, "float32", xp)
        row = xp.floor_divide(local, columns)
        x = xp.multiply(local - row * columns, stride)
        y = xp.multiply(row, stride)
        if self.cell_offset:
            x, y = x + self.cell_offset * stride, y + self.cell_offset * stride
        if not self.has_anchors:
            return xp.stack([x, y, stride, stride], axis=-1)
        which = level * per_cell + indices - cells * per_cell
        sizes = np.reshape(np.array(self.anchor_sizes, "float32"), (-1, 2))
        width, height = (_look_up(sizes[:, i], which, "float32", xp) for i in (0, 1))
        if self.clip_anchors:
            x, width = _clipped(x, width, self.image_size[1], xp)
            y, height = _clipped(y, height, self.image_size[0], xp)
        return xp.stack([x, y, width, height], axis=-1)

    def decode(self, box_outputs: Tensor, indices: Tensor, xp: ModuleType = np) -> Tensor:
        """Decode the boxes of some anchors from their raw outputs.

        Args:
            box_outputs: `(n, coding.num_values)`.
            indices: `(n,)` indices of these anchors.
            xp: `numpy` or `keras.ops`.

        Returns:
            `(n, 4)` xyxy pixels, not clipped.
        """
        return self.coding.decode(box_outputs, self.priors(indices, xp), xp)

    def to_json(self) -> dict:
        """Return the fields as plain values for JSON.

        Fields that only some families need are left out where they have their default.

        Example:

        >>> from keras_hkd.boxes.coding import Distances
        >>> grid = Grid((64, 64), Distances(clip=True), ("P5",), (32,), (NO_ANCHOR,))
        >>> grid.to_json()["coding"], grid.to_json()["coding_options"]
        ('distances', {'clip': True})
        """
        name, options = coding_to_json(self.coding)
        values = {
            "image_size": self.image_size,
            "coding": name,
            "levels": self.levels,
            "strides": self.strides,
            "anchor_sizes": self.anchor_sizes,
            "clip_anchors": self.clip_anchors,
        }
        if options:
            values["coding_options"] = options
        if self.cell_offset != 0.5:
            values["cell_offset"] = self.cell_offset
        return values

    @classmethod
    def from_json(cls, values: dict) -> Grid:
        """Build the grid from what `to_json` returned."""
        values = dict(values)
        values["coding"] = coding_from_json(values["coding"], values.pop("coding_options", {}))
        for name in ("image_size", "levels", "strides"):
            values[name] = tuple(values[name])
        values["anchor_sizes"] = tuple(
            tuple(tuple(size) for size in sizes) for sizes in values["anchor_sizes"]
        )
        return cls(**values)


def _look_up(table: Any, indices: Tensor, dtype: str, xp: ModuleType) -> Tensor:
    return xp.take(np.asarray(table, dtype), indices, axis=0)


def _as_integer(mask: Tensor, like: Tensor, xp: ModuleType) -> Tensor:
    return xp.where(mask, like * 0 + 1, like * 0)


def _clipped(centre: Tensor, size: Tensor, limit: int, xp: ModuleType) -> Tensor:
    low = xp.clip(centre - size / 2, 0, limit)
    high = xp.clip(centre + size / 2, 0, limit)
    return (low + high) / 2, high - low
