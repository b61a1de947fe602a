"""Compresses feature maps before they are stored and restores them when they are read."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from keras import ops

from keras_hkd.checks import whole
from keras_hkd.tensors import Tensor

_MAX_CELLS = 20_000

Bases: TypeAlias = dict[str, tuple[np.ndarray, np.ndarray]]
"""The mean `(channels,)` and the components `(channels, kept)` of maps, by their names."""


@dataclasses.dataclass(frozen=True)
class FeatureStore:
    """Determines how maps are stored: pooled over cells, projected onto few channels, or whole.

    Pooled maps hold means over `pooling` x `pooling` cells; restored, each cell has the mean of its
    block. Projected maps hold `channels` numbers per cell, the principal components of the
    teacher's features at that level; restored, the other components have their mean. Hierarchies
    read maps of the teacher's shape in all cases.

    Args:
        pooling: side of the blocks in cells; 1 for no pooling.
        channels: number of components that are kept; None for all channels.

    Raises:
        ValueError: if a number is below 1.
    """

    pooling: int = 1
    channels: int | None = None

    def __post_init__(self) -> None:
        for name in ("pooling", "channels"):
            if getattr(self, name) is not None:
                whole(f"feature_{name}", getattr(self, name), low=1)

    def projects(self, width: int) -> bool:
        """Return whether maps of `width` channels are projected."""
        return self.channels is not None and self.channels < width

    def stored_shape(self, shape: Sequence[int]) -> tuple[int, int, int]:
        """Return the shape in which a map `(height, width, channels)` is stored."""
        height, width, channels = shape
        cells = -(-height // self.pooling), -(-width // self.pooling)
        return (*cells, min(channels, self.channels or channels))

    def compress(self, features: Tensor, basis: tuple[np.ndarray, np.ndarray] | None) -> Tensor:
        """Compress a map, in `keras.ops`.

        Args:
            features: `(b, height, width, channels)`.
            basis: `(mean (channels,), components (channels, kept))`, or None.

        Returns:
            `(b, *stored_shape)` float32.
        """
        features = ops.cast(features, "float32")
        if basis is not None:
            features = ops.matmul(features - basis[0], basis[1])
        if self.pooling > 1:
            side = self.pooling
            features = ops.average_pool(
                features, side, side, padding="same", data_format="channels_last"
            )
        return features

    def restore(
        self, stored: Tensor, basis: tuple[np.ndarray, np.ndarray] | None, shape: Sequence[int]
    ) -> Tensor:
        """Restore a stored map to the shape of the teacher's map, in `keras.ops`.

        Args:
            stored: `(b, *stored_shape)`.
            basis: see `compress`.
            shape: `(height, width, channels)` of the teacher's map.

        Returns:
            `(b, *shape)` float32.
        """
        features = ops.cast(stored, "float32")
        if basis is not None:
            features = ops.matmul(features, ops.transpose(basis[1])) + basis[0]
        if self.pooling > 1:
            features = ops.repeat(ops.repeat(features, self.pooling, axis=1), self.pooling, axis=2)
            features = features[:, : shape[0], : shape[1]]
        return features


def principal_components(maps: np.ndarray, kept: int) -> tuple[np.ndarray, np.ndarray]:
    """Compute the principal components of features.

    Args:
        maps: `(images, height, width, channels)`.
        kept: number of components.

    Returns:
        float32 mean `(channels,)` and components `(channels, kept)` with orthonormal columns.

    Example:

    >>> maps = np.array([[[[1.0, 1.0], [3.0, 3.0]]]])
    >>> mean, components = principal_components(maps, 1)
    >>> mean.tolist(), np.allclose(np.abs(components), 0.5**0.5)
    ([2.0, 2.0], True)
    """
    cells = np.asarray(maps, np.float64).reshape(-1, maps.shape[-1])
    cells = cells[:: max(1, len(cells) // _MAX_CELLS)]
    mean = cells.mean(axis=0)
    _, vectors = np.linalg.eigh((cells - mean).T @ (cells - mean))
    return mean.astype(np.float32), vectors[:, ::-1][:, :kept].astype(np.float32)
