"""Shards: the files with checksums that hold the rows of a cache."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_hkd.atomic_write import replacing
from keras_hkd.data.batches.mapped_file import mapped_file
from keras_hkd.errors import InvalidValueError
from keras_hkd.tensors import Tensor

SHARD_BYTES = 64 * 2**20
MOST_SHARDS = 64
_DIGEST_BYTES = 32


def rows_per_shard(num_rows: int, row_bytes: int) -> int:
    """Computes the number of rows of a shard of about 64 MiB, more if there were over 64 shards.

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

    @property
    def count(self) -> int:
        """Number of shards."""
        return -(-self.num_rows // self.shard_rows)

    @property
    def num_bytes(self) -> int:
        """Size of all files in bytes."""
        return self.num_rows * self.row_bytes + self.count * _DIGEST_BYTES

    def path(self, number: int) -> Path:
        """Returns the path of a shard."""
        return self.folder / f"shard-{number:05d}.bin"

    def rows_of(self, number: int) -> range:
        """Returns the rows that a shard holds."""
        start = number * self.shard_rows
        return range(start, min(start + self.shard_rows, self.num_rows))

    def write(self, number: int, rows: np.ndarray) -> None:
        """Writes a shard under a temporary name and renames it.

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

    def is_whole(self, number: int) -> bool:
        """Returns whether a shard exists and its checksum is right."""
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
        """Returns the numbers of the shards that are missing or damaged."""
        return [number for number in range(self.count) if not self.is_whole(number)]

    def gather(self, rows: Tensor) -> Tensor:
        """Gathers rows from the memory-mapped files, in TensorFlow.

        Args:
            rows: int64 `(b,)`, numbers of the rows.

        Returns:
            uint16 `(b, row length)`.
        """
        parts = [self._mapped(number) for number in range(self.count)]
        if len(parts) == 1:
            return tf.gather(parts[0](), rows)
        places = tf.range(tf.shape(rows)[0])
        shard_of = tf.cast(rows // self.shard_rows, tf.int32)
        within = tf.dynamic_partition(rows % self.shard_rows, shard_of, self.count)
        places = tf.dynamic_partition(places, shard_of, self.count)
        found = [
            tf.cond(tf.size(r) > 0, lambda p=p, r=r: tf.gather(p(), r), lambda: self._no_rows())
            for p, r in zip(parts, within, strict=True)
        ]
        return tf.dynamic_stitch(places, found)

    def _no_rows(self) -> Tensor:
        return tf.zeros((0, self.row_bytes // 2), tf.uint16)

    def _mapped(self, number: int) -> Callable[[], Tensor]:
        shape = (len(self.rows_of(number)), self.row_bytes // 2)

        return lambda: mapped_file(self.path(number), tf.uint16, shape)

    def _digest(self, number: int, content: bytes) -> bytes:
        digest = hashlib.sha256(f"{self.key_digest} {number}".encode())
        digest.update(content)
        return digest.digest()
