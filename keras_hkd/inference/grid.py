"""Where the anchors of a detector lie and how its box outputs are coded, without Keras."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

SIDES, DELTAS = "side_distributions", "anchor_deltas"
NUM_BINS = 16
DELTA_VARIANCE = (0.1, 0.1, 0.2, 0.2)


@dataclasses.dataclass(frozen=True)
class Grid:
    """What an application needs to turn raw heads into boxes: the grid metadata of a file.

    Anchors run level by level, row by row, cell by cell, anchor by anchor. The centre of a cell is
    `((column + 0.5) * stride, (row + 0.5) * stride)` pixels. With coding `"side_distributions"`
    each of the four sides (left, top, right, bottom) has 16 logits, and lies
    `stride * sum_k k * softmax(logits)_k` pixels from the centre. With coding `"anchor_deltas"` the
    outputs are `dy, dx, dh, dw`; multiplied by (0.1, 0.1, 0.2, 0.2), the box has its centre at
    `(x + dx * w, y + dy * h)` and the size `(w * exp(dw), h * exp(dh))`, for an anchor of centre
    (x, y) and size (w, h).

    Args:
        image_size: `(height, width)` in pixels.
        coding: `"side_distributions"` or `"anchor_deltas"`.
        levels: names of the pyramid levels, finest first.
        strides: pixels between neighbouring cells, for each level.
        anchor_sizes: for each level the `(width, height)` in pixels of each anchor of a cell; for
            `"side_distributions"` one anchor of size 0.
        clip_anchors: whether anchors are cut at the edge of the image.

    Raises:
        ValueError: unknown coding, or levels, strides and sizes are not equally many.

    Example:
        >>> grid = Grid((64, 64), "side_distributions", ("P5",), (32,), (((0.0, 0.0),),))
        >>> grid.num_anchors, grid.priors(np.array([3])).tolist()
        (4, [[48.0, 48.0, 32.0, 32.0]])
        >>> grid.decode(np.zeros((1, 64), "float32"), np.array([0])).tolist()
        [[-224.0, -224.0, 256.0, 256.0]]
    """

    image_size: tuple[int, int]
    coding: str
    levels: tuple[str, ...]
    strides: tuple[int, ...]
    anchor_sizes: tuple[tuple[tuple[float, float], ...], ...]
    clip_anchors: bool = False

    def __post_init__(self):
        if self.coding not in (SIDES, DELTAS):
            raise ValueError(f"`coding` must be {SIDES!r} or {DELTAS!r}. Received: {self.coding!r}")
        if not len(self.levels) == len(self.strides) == len(self.anchor_sizes):
            raise ValueError(
                "`levels`, `strides` and `anchor_sizes` must be equally many. Received: "
                f"{len(self.levels)}, {len(self.strides)}, {len(self.anchor_sizes)}"
            )
        if len({len(sizes) for sizes in self.anchor_sizes}) != 1:
            raise ValueError("Every level must have the same number of anchors per cell.")

    @property
    def anchors_per_cell(self) -> int:
        """Anchors at each cell."""
        return len(self.anchor_sizes[0])

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """`(rows, columns)` of each level."""
        return tuple(
            tuple(math.ceil(side / stride) for side in self.image_size) for stride in self.strides
        )

    @property
    def num_anchors(self) -> int:
        """Anchors of all levels."""
        return self.anchors_per_cell * sum(rows * columns for rows, columns in self.shapes)

    @property
    def num_box_values(self) -> int:
        """Raw box outputs of an anchor: 4 or 64."""
        return 4 if self.coding == DELTAS else 4 * NUM_BINS

    def priors(self, indices, xp=np):
        """Centre and size of anchors; of a grid of distributions the size is the stride.

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
        x = xp.multiply(local - row * columns, stride) + 0.5 * stride
        y = xp.multiply(row, stride) + 0.5 * stride
        if self.coding == SIDES:
            return xp.stack([x, y, stride, stride], axis=-1)
        which = level * per_cell + indices - cells * per_cell
        sizes = np.reshape(np.array(self.anchor_sizes, "float32"), (-1, 2))
        width, height = (_look_up(sizes[:, i], which, "float32", xp) for i in (0, 1))
        if self.clip_anchors:
            x, width = _clipped(x, width, self.image_size[1], xp)
            y, height = _clipped(y, height, self.image_size[0], xp)
        return xp.stack([x, y, width, height], axis=-1)

    def decode(self, box_outputs, indices, xp=np):
        """Boxes of some anchors from their raw outputs.

        Args:
            box_outputs: `(n, 64)` or `(n, 4)`, see the class.
            indices: `(n,)` which anchors these are.
            xp: `numpy` or `keras.ops`.

        Returns:
            `(n, 4)` xyxy pixels, not clipped.
        """
        priors = self.priors(indices, xp)
        x, y, width, height = (priors[:, i] for i in range(4))
        if self.coding == DELTAS:
            dy, dx, dh, dw = (box_outputs[:, i] * DELTA_VARIANCE[i] for i in range(4))
            x, y = x + dx * width, y + dy * height
            width, height = xp.exp(dw) * width / 2, xp.exp(dh) * height / 2
            return xp.stack([x - width, y - height, x + width, y + height], axis=-1)
        bins = xp.reshape(box_outputs, (-1, 4, NUM_BINS))
        weights = xp.exp(bins - xp.max(bins, axis=-1, keepdims=True))
        far = xp.sum(weights * np.arange(NUM_BINS, dtype="float32"), axis=-1)
        far = far / xp.sum(weights, axis=-1) * width[:, None]
        left, top, right, bottom = (far[:, i] for i in range(4))
        return xp.stack([x - left, y - top, x + right, y + bottom], axis=-1)

    def to_json(self) -> dict:
        """The fields, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: dict) -> Grid:
        """The grid that `to_json` wrote."""
        values = dict(values)
        for name in ("image_size", "levels", "strides"):
            values[name] = tuple(values[name])
        values["anchor_sizes"] = tuple(
            tuple(tuple(size) for size in sizes) for sizes in values["anchor_sizes"]
        )
        return cls(**values)


def _look_up(table, indices, dtype, xp):
    return xp.take(np.asarray(table, dtype), indices, axis=0)


def _as_integer(mask, like, xp):
    return xp.where(mask, like * 0 + 1, like * 0)


def _clipped(centre, size, limit, xp):
    low = xp.clip(centre - size / 2, 0, limit)
    high = xp.clip(centre + size / 2, 0, limit)
    return (low + high) / 2, high - low
