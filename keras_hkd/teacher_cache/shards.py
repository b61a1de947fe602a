"""Shards: the files with checksums that hold the rows of a cache."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from keras_hkd.atomic_write import replacing
from keras_hkd.errors import InvalidValueError

SHARD_BYTES = 64 * 2**20
MOST_SHARDS = 64
RESIDENT_BYTES = 2**30
"""So much is read before the mapped files are given back to the kernel."""
_DIGEST_BYTES = 32


def rows_per_shard(num_rows: int, row_bytes: int) -> int:
    """Compute the number of rows of a shard of about 64 MiB, more if there were over 64 shards.

    Args:
        num_rows: number of rows of all shards.
        row_bytes: size of a row in bytes.

    Example:

    >>> rows_per_shard(1000, 2**20), rows_per_shard(100, 2**10)
    (64, 100)
    """
    return min(num_rows, max(1, SHARD_BYTES // row_bytes, -(-num_rows // MOST_SHARDS)))


@dataclasses.dataclass(frozen=True)
class Shards:
    """The shards of a cache. Each file holds its rows, followed by their SHA-256.

    The checksum covers the cache's key and the shard's number too, so that a file of another cache
    or with another number counts as damaged.

    Args:
        folder: folder of the cache.
        key_digest: digest of the cache's key.
        num_rows: number of rows of all shards.
        row_bytes: size of a row in bytes, even.
        shard_rows: number of rows of each shard but the last.
    """

    folder: Path
    key_digest: str
    num_rows: int
    row_bytes: int
    shard_rows: int
    _maps: dict[int, np.ndarray] = dataclasses.field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _reads: Iterator[int] = dataclasses.field(
        default_factory=lambda: itertools.count(1), init=False, repr=False, compare=False
    )

    @property
    def count(self) -> int:
        """Number of shards."""
        return -(-self.num_rows // self.shard_rows)

    @property
    def num_bytes(self) -> int:
        """Size of all files in bytes."""
        return self.num_rows * self.row_bytes + self.count * _DIGEST_BYTES

    def path(self, number: int) -> Path:
        """Return the path of a shard."""
        return self.folder / f"shard-{number:05d}.bin"

    def rows_of(self, number: int) -> range:
        """Return the rows that a shard holds."""
        start = number * self.shard_rows
        return range(start, min(start + self.shard_rows, self.num_rows))

    def write(self, number: int, rows: np.ndarray) -> None:
        """Write a shard under a temporary name and rename it.

        Args:
            number: number of the shard.
            rows: little-endian uint16 `(rows of the shard, row length)`.

        Raises:
            ValueError: if the rows are not those of a shard.
        """
        content = np.ascontiguousarray(rows, "<u2").tobytes()
        if len(content) != len(self.rows_of(number)) * self.row_bytes:
            raise InvalidValueError(
                f"Shard {number} has {len(self.rows_of(number))} rows of {self.row_bytes} bytes. "
                f"Received: {len(content)} bytes."
            )
        with replacing(self.path(number)) as partial, open(partial, "wb") as file:
            file.write(content)
            file.write(self._digest(number, content))
        self._maps.pop(number, None)

    def is_whole(self, number: int) -> bool:
        """Return whether a shard exists and its checksum is right."""
        path = self.path(number)
        num_bytes = len(self.rows_of(number)) * self.row_bytes
        try:
            if path.stat().st_size != num_bytes + _DIGEST_BYTES:
                return False
            with open(path, "rb") as file:
                content = file.read(num_bytes)
                return file.read() == self._digest(number, content)
        except FileNotFoundError:
            return False

    def missing(self) -> list[int]:
        """Return the numbers of the shards that are missing or damaged."""
        return [number for number in range(self.count) if not self.is_whole(number)]

    def row(self, number: int) -> np.ndarray:
        """Return a row from its memory-mapped file.

        After every GiB that was read the files are unmapped. Otherwise the kernel would count all
        pages that were touched as the process's own, up to the whole cache.

        Args:
            number: number of the row.

        Returns:
            uint16 `(row length,)`, read-only.
        """
        if next(self._reads) % max(1, RESIDENT_BYTES // self.row_bytes) == 0:
            self._maps.clear()  # rows that are still in use keep their file mapped
        shard, place = divmod(number, self.shard_rows)
        mapped = self._maps.get(shard)  # held here: another thread may clear
        if mapped is None:
            shape = (len(self.rows_of(shard)), self.row_bytes // 2)
            mapped = np.asarray(np.memmap(self.path(shard), "<u2", "r", shape=shape))
            self._maps[shard] = mapped
        return mapped[place]

    def _digest(self, number: int, content: bytes) -> bytes:
        digest = hashlib.sha256(f"{self.key_digest} {number}".encode())
        digest.update(content)
        return digest.digest()
