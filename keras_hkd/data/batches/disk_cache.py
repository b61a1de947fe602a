"""Decoded, shrunk pictures in two files that TensorFlow maps into memory and reads without Python.

A folder named by a key holds `pictures.bin`, `halves.bin` (the same at half the size) and
`facts.json` with a checksum of every block of images; the facts are written last, so that a folder
with facts is complete. Until then the files have other names, and a journal lists the blocks that
are on the disk: a build that was killed goes on behind them.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import hashlib
import json
import mmap
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_hkd.data.batches.cache_mode import require_disk
from keras_hkd.data.batches.image_cache import Canvases, half_size_of, load_checked, run_in_threads
from keras_hkd.data.batches.mapped_file import mapped_file
from keras_hkd.data.dataset import Dataset
from keras_hkd.errors import InvalidValueError
from keras_hkd.folder_lock import folder_lock
from keras_hkd.json_files import as_json, read_json, write_json
from keras_hkd.tensors import Tensor

BLOCK_IMAGES = 32
"""Images that are written, and have a checksum, together."""
CHECKED_BYTES = 512 * 2**20
"""What is read to check a complete cache when it is opened: all of a small one, else a sample."""
RESIDENT_BYTES = 2**30
"""So much of the files is read before the pages that were touched are given back to the kernel."""

_FILES = ("pictures.bin", "halves.bin")
_FACTS, _JOURNAL, _UNFINISHED = "facts.json", "unfinished.journal", "unfinished-"


def is_cacheable(dataset: Dataset) -> bool:
    """Tell whether all images are files: what is drawn has no key by which it could be found again.

    Args:
        dataset: the images.
    """
    return type(dataset).load_image is Dataset.load_image and all(a.image_path for a in dataset)


def cache_key(dataset: Dataset, canvases: Canvases) -> str:
    """Make the name under which the pictures of a dataset are kept.

    It covers the dataset's content hash, the times at which the image files were changed, and the
    sizes of the canvases and of the pictures on them.

    Args:
        dataset: the images.
        canvases: how they are laid out.

    Returns:
        32 hexadecimal digits.
    """
    digest = hashlib.sha256(f"1 {dataset.content_hash} {canvases.size}".encode())
    digest.update(np.ascontiguousarray(canvases.scales).tobytes())
    digest.update(np.ascontiguousarray(canvases.content_sizes).tobytes())
    times = [_changed(annotation.image_path) for annotation in dataset]
    digest.update(np.array(times, np.int64).tobytes())
    return digest.hexdigest()[:32]


@dataclasses.dataclass(frozen=True, eq=False)
class DiskCache:
    """The pictures of a dataset on disk.

    Args:
        dataset: the images, all of them files.
        canvases: how they are laid out.
        parent: the folder of all caches.

    Attributes:
        folder: the folder of these pictures.

    Raises:
        ValueError: an image has no file.
    """

    dataset: Dataset
    canvases: Canvases
    parent: Path
    folder: Path = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        if not is_cacheable(self.dataset):
            raise InvalidValueError(
                "cache='disk' keeps the pictures of image files, and "
                f"{self.dataset.source!r} holds images that have none (drawn ones). Take "
                "cache='auto', 'memory' or 'none'."
            )
        key = cache_key(self.dataset, self.canvases)
        object.__setattr__(self, "folder", self.parent / key)

    @property
    def num_bytes(self) -> int:
        """Size of both files in bytes."""
        return len(self.dataset) * sum(map(_size, self._shapes))

    @property
    def held_bytes(self) -> int:
        """How much of that is on the disk, finished or not."""
        paths = [self.folder / f"{start}{name}" for name in _FILES for start in ("", _UNFINISHED)]
        return min(self.num_bytes, sum(map(_bytes_on_disk, paths)))

    @property
    def _shapes(self) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        height, width = self.canvases.size
        return (height, width, 3), (height // 2, width // 2, 3)

    def open(self) -> MappedPictures:
        """Give the pictures; make or mend the files first where they are not whole.

        Of several processes one does so, and the others wait.

        Raises:
            BadDataError: an image cannot be read or has another size than its annotation says.
            ValueError: the disk has no room.
        """
        if not self._is_whole():
            with folder_lock(self.folder, wait=True):
                if not self._is_whole():
                    self._build()
        full, half = (
            mapped_file(self.folder / name, tf.uint8, (len(self.dataset), *shape))
            for name, shape in zip(_FILES, self._shapes, strict=True)
        )
        return MappedPictures(full, half, sum(map(_size, self._shapes)))

    def _is_whole(self) -> bool:
        """Compare sizes, and the checksums of blocks spread evenly over the files."""
        try:
            facts = self._facts()
            for name, shape in zip(_FILES, self._shapes, strict=True):
                if (self.folder / name).stat().st_size != len(self.dataset) * _size(shape):
                    return False
        except (OSError, ValueError, KeyError, TypeError):
            return False
        checksums = facts["checksums"]
        block_bytes = BLOCK_IMAGES * sum(map(_size, self._shapes))
        count = min(len(checksums), max(2, CHECKED_BYTES // block_bytes))
        chosen = np.unique(np.linspace(0, len(checksums) - 1, count).astype(int))
        paths = [self.folder / name for name in _FILES]
        return all(self._digest(paths, int(b)) == checksums[int(b)] for b in chosen)

    def _facts(self) -> dict:
        facts = read_json(self.folder / _FACTS)
        if len(facts["checksums"]) != self._num_blocks:
            raise InvalidValueError(f"{self.folder / _FACTS} is of other pictures.")
        return facts

    @property
    def _num_blocks(self) -> int:
        return -(-len(self.dataset) // BLOCK_IMAGES)

    def _block(self, number: int) -> range:
        start = number * BLOCK_IMAGES
        return range(start, min(start + BLOCK_IMAGES, len(self.dataset)))

    def _digest(self, paths: list[Path], number: int) -> str:
        """Compute the checksum of a block as it is on the disk."""
        block, digest = self._block(number), hashlib.sha256()
        for path, shape in zip(paths, self._shapes, strict=True):
            digest.update(_read_at(path, block.start * _size(shape), len(block) * _size(shape)))
        return digest.hexdigest()

    def _build(self) -> None:
        require_disk(self.num_bytes - self.held_bytes, self.folder)
        paths = [self.folder / f"{_UNFINISHED}{name}" for name in _FILES]
        done = self._reopened(paths)
        for path, shape in zip(paths, self._shapes, strict=True):
            path.touch()
            os.truncate(path, len(self.dataset) * _size(shape))
        checksums: dict[int, str] = {}
        with open(self.folder / _JOURNAL, "a", encoding="utf-8") as journal:

            def make(number: int) -> int:
                block = self._block(number)
                if number not in done or self._digest(paths, number) != done[number]:
                    checksum = self._write(paths, block)
                    # In one call, so that lines of several threads do not mix.
                    journal.write(as_json([number, checksum], None) + "\n")
                    journal.flush()
                    checksums[number] = checksum
                else:
                    checksums[number] = done[number]
                return len(block)

            run_in_threads(
                make, range(self._num_blocks), "Decoding images to disk", len(self.dataset)
            )
        for path, name in zip(paths, _FILES, strict=True):
            os.replace(path, self.folder / name)
        facts = {
            "source": self.dataset.source,
            "num_images": len(self.dataset),
            "canvas_size": self.canvases.size,
            "checksums": [checksums[number] for number in range(self._num_blocks)],
        }
        write_json(self.folder / _FACTS, facts)
        (self.folder / _JOURNAL).unlink()

    def _reopened(self, paths: list[Path]) -> Mapping[int, str]:
        """Give finished files, which are damaged, their unfinished names; list the blocks done."""
        done = _read_journal(self.folder / _JOURNAL)
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            done = {**dict(enumerate(self._facts()["checksums"])), **done}
        lines = "".join(as_json([number, one], None) + "\n" for number, one in done.items())
        (self.folder / _JOURNAL).write_text(lines, encoding="utf-8")
        (self.folder / _FACTS).unlink(missing_ok=True)
        for path, name in zip(paths, _FILES, strict=True):
            if (self.folder / name).exists():
                os.replace(self.folder / name, path)
        return done

    def _write(self, paths: list[Path], block: range) -> str:
        """Decode a block and write it through to the disk."""
        parts = [np.empty((len(block), *shape), np.uint8) for shape in self._shapes]
        for row, index in enumerate(block):
            canvas = self.canvases.draw(load_checked(self.dataset, index), index)
            parts[0][row], parts[1][row] = canvas, half_size_of(canvas)
        digest = hashlib.sha256()
        for path, part, shape in zip(paths, parts, self._shapes, strict=True):
            content = part.tobytes()
            digest.update(content)
            _write_at(path, block.start * _size(shape), content)
        return digest.hexdigest()


class MappedPictures:
    """The pictures of a `DiskCache`, mapped into memory.

    Args:
        full: uint8 `(n, canvas height, canvas width, 3)`.
        half: uint8, the same at half the size.
        image_bytes: size of an image in both together.
    """

    def __init__(self, full: Tensor, half: Tensor, image_bytes: int) -> None:
        self.full, self.half, self.image_bytes = full, half, image_bytes
        self._views = [np.asarray(memoryview(tensor)) for tensor in (full, half)]

    def bounded(self, batches: Any, batch_size: int) -> Any:
        """Keep what the process holds of the files below a GiB, whatever their size.

        Pages are given back to the kernel after every GiB that was read. It counts mapped pages
        that were touched as the process's own until it is short of memory: the process would seem
        to hold the whole file. They stay in the kernel's file cache, where the next access finds
        them. And tf.data is kept from rewriting the pipeline, for which it would copy the files
        into memory.

        Args:
            batches: a `tf.data.Dataset` of batches of them.
            batch_size: images per batch.
        """
        options = tf.data.Options()
        options.experimental_optimization.apply_default_optimizations = False
        batches = batches.with_options(options)
        every = max(1, RESIDENT_BYTES // (self.image_bytes * batch_size))

        def passed_on(number: Tensor, batch: Any) -> Any:
            with tf.control_dependencies(
                [tf.cond(number % every == every - 1, self._released, _nothing)]
            ):
                return tf.nest.map_structure(tf.identity, batch)

        if sum(view.nbytes for view in self._views) <= RESIDENT_BYTES:
            return batches
        return batches.enumerate().map(passed_on)

    def _released(self) -> Tensor:
        return tf.numpy_function(self.release, [], tf.int32)

    def release(self) -> np.int32:
        """Give all pages back now; the contents stay as they are.

        Returns:
            How many of the two files the system did so for.
        """
        return np.int32(sum(map(_release, self._views)))


def _nothing() -> Tensor:
    return tf.constant(0, tf.int32)


def _release(view: np.ndarray) -> int:
    advise = getattr(_c_library(), "madvise", None)
    advice = getattr(mmap, "MADV_DONTNEED", None)
    start = view.ctypes.data
    if advise is None or advice is None or start % mmap.PAGESIZE or not view.nbytes:
        return 0
    return int(advise(ctypes.c_void_p(start), ctypes.c_size_t(view.nbytes), advice) == 0)


def _c_library() -> Any:
    try:
        return ctypes.CDLL(None)
    except (OSError, TypeError):  # Windows
        return None


def _read_journal(path: Path) -> dict[int, str]:
    """Read which blocks were written; a last line that was cut short counts as not there."""
    done: dict[int, str] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError, TypeError):
                number, checksum = json.loads(line)
                done[int(number)] = str(checksum)
    return done


def _read_at(path: Path, start: int, count: int) -> bytes:
    with open(path, "rb") as file:
        file.seek(start)
        return file.read(count)


def _write_at(path: Path, start: int, content: bytes) -> None:
    """Write into a file, through to the disk."""
    with open(path, "r+b") as file:
        file.seek(start)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _size(shape: tuple[int, int, int]) -> int:
    return shape[0] * shape[1] * shape[2]


def _bytes_on_disk(path: Path) -> int:
    try:
        return path.stat().st_blocks * 512
    except (OSError, AttributeError):
        return 0


def _changed(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0  # reading it will say what is wrong
