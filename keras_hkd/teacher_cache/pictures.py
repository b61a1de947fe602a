"""What the files of some pictures held when a cache was built."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_hkd.teacher_cache.cache_key import CacheError

if TYPE_CHECKING:
    from keras_hkd.data import Dataset

_MOST = 64


def checksums(dataset: Dataset) -> list[int | None]:
    """Compute checksums of whole picture files, of some that are spread evenly over a dataset.

    The hash of the data holds names, sizes and labels: all pictures may be mirrored, or turned by
    EXIF, and keep it.

    Args:
        dataset: images; of one without a file the checksum is None.
    """
    paths = [dataset[index].image_path for index in _sample(dataset)]
    return [
        zlib.crc32(Path(path).read_bytes()) if path and os.path.isfile(path) else None
        for path in paths
    ]


def require_same_pictures(
    saved: list[int | None] | None, dataset: Dataset, folder: str | os.PathLike
) -> None:
    """Check that pictures hold what they did when a cache was built.

    Args:
        saved: what `checksums` gave then; None of a cache that does not say it.
        dataset: the images of the cache, by the hash of the data.
        folder: folder of the cache, for the message.

    Raises:
        CacheError: if not; the message names a picture.
    """
    if saved is None:
        return
    now = checksums(dataset)
    places = zip(_sample(dataset), saved, now, strict=True)
    changed = [dataset[index].image_path for index, before, after in places if before != after]
    if changed:
        raise CacheError(
            f"The teacher cache {folder} was made from other pixels: of {len(now)} pictures that "
            f"were looked at {len(changed)} have changed since, such as {changed[0]}, under the "
            "same names and labels. Bring them back, or build a cache in another folder."
        )


def _sample(dataset: Dataset) -> list[int]:
    size = len(dataset)
    return np.unique(np.linspace(0, size - 1, min(_MOST, size)).astype(int)).tolist()
