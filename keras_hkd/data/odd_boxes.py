"""Finds boxes that look wrong, for a person to look at before training."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator

import numpy as np

from keras_hkd.boxes.iou import pairwise_iou
from keras_hkd.data.annotations import ImageAnnotation
from keras_hkd.data.dataset import Dataset

TINY_PX = 3
LONGEST_ASPECT = 10
SAME_IOU = 0.95
WHOLE_SHARE = 0.95
INSIDE_SHARE = 0.5
MANY_IMAGES = (5, 0.01)
"""A box at exactly the same place counts as one of many from so many images, and this share, on."""

KINDS = {
    "no_area": "no width or no height",
    "outside": f"less than {INSIDE_SHARE:.0%} of it lies within the picture",
    "tiny": f"a side shorter than {TINY_PX} px",
    "long": f"one side more than {LONGEST_ASPECT} times the other",
    "whole_picture": f"covers {WHOLE_SHARE:.0%} of the picture or more",
    "repeated": f"lies on an earlier box of the same picture (IoU from {SAME_IOU})",
    "many_identical": f"at exactly the same place in {MANY_IMAGES[0]} pictures or more, and in "
    f"{MANY_IMAGES[1]:.0%} of all",
}
"""Kind of fault -> what it means."""


MISREAD = ("no_area", "outside", "tiny", "long", "repeated")
"""Kinds that are many where numbers are read in another unit or order than they were written."""
MOST_ODD = 0.2
"""Share of odd boxes above which the labels as a whole are in doubt."""
_MOST_IMAGES = 5000


@dataclasses.dataclass(frozen=True)
class OddBox:
    """A box that looks wrong.

    Args:
        kind: a key of `KINDS`.
        image: position of its image in the dataset.
        box: position of the box in the image.
        detail: the numbers that make it odd.
    """

    kind: str
    image: int
    box: int
    detail: str


def find_odd_boxes(dataset: Dataset) -> list[OddBox]:
    """List the boxes that look wrong, kind by kind; one box may be of several kinds.

    Ignore regions, which are often large, long or tiny on purpose, count as odd only where they
    have no area or lie outside. Readers refuse or skip boxes of no area and those wholly outside:
    here these turn up in datasets of other origin.

    Args:
        dataset: any dataset.

    Returns:
        The odd boxes in the order of `KINDS`, then of the dataset.

    Example:

    >>> from keras_hkd.data import ImageAnnotation
    >>> image = ImageAnnotation("", 1, 64, 48, [[1, 2, 11, 32], [5, 5, 7, 15]], [0, 0])
    >>> for odd in find_odd_boxes(Dataset((image,), ("person",), "", "")):
    ...     print(odd.kind, odd.box, odd.detail)
    tiny 1 2 x 10 px
    """
    found = [
        *(odd for index, one in enumerate(dataset) for odd in _odd_of_image(index, one)),
        *_identical(dataset),
    ]
    order = list(KINDS)
    return sorted(found, key=lambda odd: (order.index(odd.kind), odd.image, odd.box))


@dataclasses.dataclass(frozen=True)
class OddCount:
    """How many of the boxes that count look wrong.

    Args:
        num_boxes: boxes that count.
        num_odd: boxes of any kind of `MISREAD`.
        kinds: kind -> number of boxes; one box may be of several.
    """

    num_boxes: int
    num_odd: int
    kinds: dict[str, int]

    @property
    def share(self) -> float:
        """Share of odd boxes; 0 without boxes."""
        return self.num_odd / max(self.num_boxes, 1)

    @property
    def most(self) -> str:
        """What is most often wrong, in words."""
        return KINDS[max(self.kinds, key=lambda kind: self.kinds[kind])]


def count_odd_boxes(dataset: Dataset) -> OddCount:
    """Count the boxes that look misread, in some thousand images, evenly spread, at most.

    Args:
        dataset: any dataset.
    """
    count = min(_MOST_IMAGES, len(dataset))
    places = np.linspace(0, len(dataset) - 1, count).round().astype(int)
    images = dataset if count == len(dataset) else dataset.select(places.tolist())
    kinds: dict[str, set[tuple[int, int]]] = {kind: set() for kind in MISREAD}
    for one in find_odd_boxes(images):
        if one.kind in kinds:
            kinds[one.kind].add((one.image, one.box))
    return OddCount(
        num_boxes=sum(int((~one.ignore).sum()) for one in images),
        num_odd=len(set.union(*kinds.values())),
        kinds={kind: len(found) for kind, found in kinds.items()},
    )


def _odd_of_image(index: int, one: ImageAnnotation) -> Iterator[OddBox]:
    if not one.num_boxes:
        return
    boxes, counts = one.boxes, ~one.ignore
    sides = boxes[:, 2:] - boxes[:, :2]
    flat = ~(sides > 0).all(axis=1)
    shares = _inside(one)
    size = [f"{width:.4g} x {height:.4g} px" for width, height in sides.tolist()]
    shorter, longer = sides.min(axis=1), sides.max(axis=1)
    area, picture = sides.prod(axis=1), one.width * one.height
    tiny = counts & ~flat & (shorter < TINY_PX)
    for row in np.flatnonzero(flat).tolist():
        yield OddBox("no_area", index, row, size[row])
    for row in np.flatnonzero(~flat & (shares < INSIDE_SHARE)).tolist():
        yield OddBox("outside", index, row, f"{shares[row]:.0%} inside")
    for row in np.flatnonzero(tiny).tolist():
        yield OddBox("tiny", index, row, size[row])
    for row in np.flatnonzero(counts & ~flat & (longer > LONGEST_ASPECT * shorter)).tolist():
        yield OddBox("long", index, row, size[row])
    if picture:
        covered = shares * area / picture
        for row in np.flatnonzero(counts & ~flat & (covered >= WHOLE_SHARE)).tolist():
            yield OddBox("whole_picture", index, row, f"{covered[row]:.0%} of the picture")
    yield from _repeated(index, one, np.flatnonzero(counts & ~flat))


def _inside(one: ImageAnnotation) -> np.ndarray:
    """Compute the share of each box within the picture; 1 where a size is not known."""
    if not (one.width and one.height):
        return np.ones(one.num_boxes)
    limits = np.array([one.width, one.height] * 2, float)
    cut = np.clip(one.boxes, 0, limits)
    areas = (one.boxes[:, 2:] - one.boxes[:, :2]).prod(axis=1)
    kept = (cut[:, 2:] - cut[:, :2]).prod(axis=1)
    return np.divide(kept, areas, out=np.ones(one.num_boxes), where=areas > 0)


def _repeated(index: int, one: ImageAnnotation, rows: np.ndarray) -> Iterator[OddBox]:
    if len(rows) < 2:
        return
    overlaps = np.tril(pairwise_iou(one.boxes[rows], one.boxes[rows]), -1)
    for later in np.flatnonzero((overlaps >= SAME_IOU).any(axis=1)).tolist():
        earlier = int(overlaps[later].argmax())
        same = one.classes[rows[later]] == one.classes[rows[earlier]]
        detail = f"on box {rows[earlier]}, of {'the same' if same else 'another'} class"
        yield OddBox("repeated", index, int(rows[later]), detail)


def _identical(dataset: Dataset) -> Iterator[OddBox]:
    places: Counter = Counter()
    for one in dataset:
        places.update({tuple(box) for box in one.boxes[~one.ignore].round(2).tolist()})
    enough = max(MANY_IMAGES[0], MANY_IMAGES[1] * len(dataset))
    many = {place: count for place, count in places.items() if count >= enough}
    if not many:
        return
    for index, one in enumerate(dataset):
        for row, box in enumerate(one.boxes.round(2).tolist()):
            if not one.ignore[row] and tuple(box) in many:
                yield OddBox("many_identical", index, row, f"in {many[tuple(box)]:,} pictures")
