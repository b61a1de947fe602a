"""Finds pictures that are in a dataset twice: the same bytes, or the same look."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from PIL import Image

from keras_hkd import checks
from keras_hkd.data.dataset import Dataset
from keras_hkd.data.image_files import small_grey
from keras_hkd.progress import FEW_IMAGES, image_progress

NUM_BITS = 128
NEAR_BITS = 10
_BLOCK = 64


@dataclasses.dataclass(frozen=True)
class DuplicateGroup:
    """Pictures that show the same.

    Args:
        images: their positions in the dataset, at least two.
        identical: whether their files are the same byte for byte.
        same_labels: whether they have the same boxes.
    """

    images: tuple[int, ...]
    identical: bool
    same_labels: bool


class SharedPicture(NamedTuple):
    """A picture that is in two datasets.

    Attributes:
        first: position in the first dataset.
        second: position in the second dataset.
        identical: whether the files are the same byte for byte.
    """

    first: int
    second: int
    identical: bool


def difference_hash(picture: Image.Image) -> np.ndarray:
    """Hash a picture by its look: whether grey grows from one of 9 x 9 places to the next.

    Args:
        picture: a picture of any size and mode.

    Returns:
        uint64 (2,): 64 bits for steps to the right, 64 for steps down. Pictures that were stored
        anew or resized differ in few of them, different ones in about half.

    Reference:
        N. Krawetz, Kind of Like That (dHash), 2013.

    Example:

    >>> ramp = Image.linear_gradient("L")  # it grows downwards
    >>> difference_hash(ramp).tolist() == [0, 2**64 - 1]
    True
    """
    grey = np.asarray(picture.convert("L").resize((9, 9), Image.Resampling.BOX), np.int16)
    steps = (grey[:8, 1:] > grey[:8, :-1], grey[1:, :8] > grey[:-1, :8])
    return np.packbits(np.stack(steps).reshape(2, 64), axis=1).view(np.uint64)[:, 0]


def find_duplicates(dataset: Dataset, near_bits: int = NEAR_BITS) -> list[DuplicateGroup]:
    """Find pictures that are there twice or more.

    Files are compared by SHA-256, looks by `difference_hash`. The pictures of a group of equal look
    are linked, each to another of it, by hashes that differ in `near_bits` at most; a film's frames
    may so form one group. Drawn scenes, which have no files, are compared by their pixels.

    Args:
        dataset: images that can be read.
        near_bits: most bits of 128 in which the hashes of near-duplicates differ.

    Returns:
        Groups of identical pictures, then of near-duplicates that are not all identical.

    Raises:
        ValueError: `near_bits` is no number from 0 to 128.

    Example:

    >>> from keras_hkd.data import synthetic_dataset
    >>> find_duplicates(synthetic_dataset(3, (64, 64), seed=0))
    []
    """
    checks.whole("near_bits", near_bits, high=NUM_BITS)
    digests, hashes = _fingerprints(dataset)
    identical = _groups_of_equal(digests)
    near = _near_groups(hashes, near_bits)
    different = [group for group in near if len({digests[image] for image in group}) > 1]
    return [
        DuplicateGroup(tuple(group), same, _same_labels(dataset, group))
        for groups, same in ((identical, True), (different, False))
        for group in groups
    ]


def find_shared(first: Dataset, second: Dataset, near_bits: int = NEAR_BITS) -> list[SharedPicture]:
    """Find the pictures of one dataset that are in another, such as test images trained on.

    Args:
        first: images that can be read, such as those to train on.
        second: others, such as those to test on; their classes may be others.
        near_bits: as of `find_duplicates`.

    Returns:
        One `SharedPicture` for each picture of `second` that is in `first`, the most alike.

    Raises:
        ValueError: `near_bits` is no number from 0 to 128.

    Example:

    >>> from keras_hkd.data import synthetic_dataset
    >>> scenes = synthetic_dataset(3, (64, 64), seed=0)
    >>> find_shared(scenes, scenes.select([2]))
    [SharedPicture(first=2, second=0, identical=True)]
    """
    checks.whole("near_bits", near_bits, high=NUM_BITS)
    digests, hashes = _fingerprints(first)
    other_digests, others = _fingerprints(second)
    place = {digest: index for index, digest in reversed(list(enumerate(digests)))}
    shared = []
    for index, (digest, row) in enumerate(zip(other_digests, others, strict=True)):
        differing = np.bitwise_count(hashes ^ row).sum(axis=1, dtype=int)
        if digest in place:
            shared.append(SharedPicture(place[digest], index, True))
        elif len(differing) and differing.min() <= near_bits:
            shared.append(SharedPicture(int(differing.argmin()), index, False))
    return shared


def _fingerprints(dataset: Dataset) -> tuple[list[bytes], np.ndarray]:
    """Hash the bytes and the look of each picture, on all cores."""
    hashes = np.zeros((len(dataset), 2), np.uint64)
    digests = []
    pool = ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1))
    try:
        shown = len(dataset) > FEW_IMAGES
        with image_progress("Comparing images", len(dataset), shown) as advance:
            looks = pool.map(lambda index: _fingerprint(dataset, index), range(len(dataset)))
            for index, (digest, look) in enumerate(looks):
                digests.append(digest)
                hashes[index] = look
                advance(1)
    finally:
        pool.shutdown(cancel_futures=True)
    return digests, hashes


def _fingerprint(dataset: Dataset, index: int) -> tuple[bytes, np.ndarray]:
    path = dataset[index].image_path
    if not path:
        pixels = dataset.load_image(index)
        digest = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest()
        return digest, difference_hash(Image.fromarray(pixels))
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    return digest, difference_hash(Image.fromarray(small_grey(path)))


def _groups_of_equal(values: Sequence[bytes]) -> list[list[int]]:
    groups: dict[bytes, list[int]] = {}
    for index, value in enumerate(values):
        groups.setdefault(value, []).append(index)
    return [group for group in groups.values() if len(group) > 1]


def _near_groups(hashes: np.ndarray, near_bits: int) -> list[list[int]]:
    """Find groups of rows that are linked, directly or through others, by few bits that differ.

    A block of rows is compared with all later ones at a time; the second half of the bits only
    where the first is near enough, which is rare.
    """
    group = np.arange(len(hashes))
    for start in range(0, len(hashes), _BLOCK):
        block, rest = hashes[start : start + _BLOCK], hashes[start:]
        rows, later = np.nonzero(np.bitwise_count(block[:, None, 0] ^ rest[:, 0]) <= near_bits)
        near = np.bitwise_count(block[rows] ^ rest[later]).sum(axis=1, dtype=int) <= near_bits
        rows, later = rows[near], later[near] + start  # each row is near itself
        bounds = np.searchsorted(rows, np.arange(len(block) + 1))
        for row in range(len(block)):
            linked = group[later[bounds[row] : bounds[row + 1]]]
            if (linked != linked[0]).any():
                group[np.isin(group, linked)] = linked.min()
    members: dict[int, list[int]] = {}
    for index, leader in enumerate(group.tolist()):
        members.setdefault(leader, []).append(index)
    return [rows for rows in members.values() if len(rows) > 1]


def _same_labels(dataset: Dataset, group: Sequence[int]) -> bool:
    """Tell whether pictures have the same boxes, as shares of the picture, to a hundredth."""
    seen = set()
    for index in group:
        one = dataset[index]
        size = [max(one.width, 1), max(one.height, 1)] * 2
        rows = np.column_stack([(one.boxes / size).round(2), one.classes, one.ignore])
        seen.add(tuple(sorted(map(tuple, rows.tolist()))))
    return len(seen) == 1
