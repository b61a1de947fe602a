"""The labels of all images as equal rows: people apart from what is to be ignored."""

from __future__ import annotations

import dataclasses

import numpy as np

from keras_hkd.boxes.geometry import clip
from keras_hkd.data.batches.letterbox import fit_scale
from keras_hkd.data.dataset import Dataset


@dataclasses.dataclass(frozen=True, eq=False)
class LabelTable:
    """Boxes of all images in letterboxed pixels, clipped to the image, padded with -1 at the end.

    Args:
        boxes: float32 `(n, max_boxes, 4)` xyxy of people; of too many, the largest.
        classes: float32 `(n, max_boxes)`.
        ignore_boxes: float32 `(n, num_ignore, 4)`, ignore regions and the people above `max_boxes`.
        scales: float64 `(n,)`, letterboxed pixels per pixel of the original image.
    """

    boxes: np.ndarray
    classes: np.ndarray
    ignore_boxes: np.ndarray
    scales: np.ndarray

    @classmethod
    def collect(
        cls, dataset: Dataset, frame_size: tuple[int, int], max_boxes: int | None = None
    ) -> LabelTable:
        """Gather the labels of a dataset.

        Args:
            dataset: the annotations.
            frame_size: `(height, width)` of the letterboxed images in pixels.
            max_boxes: places for people per image; the largest count in the set if None.

        Example:

        >>> from keras_hkd.data.annotations import ImageAnnotation
        >>> image = ImageAnnotation("", 1, 80, 60, [[0, 0, 8, 16], [0, 0, 80, 60]], [0, 0],
        ...                         ignore=[False, True])
        >>> table = LabelTable.collect(Dataset((image,), ("person",), "", ""), (30, 40), 2)
        >>> table.boxes[0].tolist()
        [[0.0, 0.0, 4.0, 8.0], [-1.0, -1.0, -1.0, -1.0]]
        >>> table.ignore_boxes[0].tolist()
        [[0.0, 0.0, 40.0, 30.0]]
        """
        scales = letterbox_scales(dataset, frame_size)
        owners, rows = _rows_of_all(dataset, scales)
        is_person = rows[:, 5] == 0
        largest_first = np.lexsort((-_areas(rows), ~is_person, owners))
        rank = np.empty(len(rows), int)
        rank[largest_first] = _places(owners[largest_first])
        kept = is_person & (rank < (max_boxes or len(rows)))
        table = _table(owners[kept], rows[kept], len(dataset), max_boxes)
        others = np.flatnonzero(~kept)
        others = others[np.lexsort((is_person[others], owners[others]))]
        ignore_table = _table(owners[others], rows[others], len(dataset))
        return cls(table[..., :4], table[..., 4], ignore_table[..., :4], scales)


def letterbox_scales(dataset: Dataset, frame_size: tuple[int, int]) -> np.ndarray:
    """Compute the scale of every image's letterbox.

    Args:
        dataset: the annotations.
        frame_size: `(height, width)` in pixels.

    Returns:
        float64 `(n,)`, letterboxed pixels per pixel of the original image.
    """
    sizes = np.array([(annotation.height, annotation.width) for annotation in dataset])
    return fit_scale(sizes.reshape(-1, 2), np.array(frame_size))


def _rows_of_all(dataset: Dataset, scales: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Make rows of x1, y1, x2, y2, class, ignore of all images, and the image of each.

    Boxes wholly outside their image are left out.
    """
    owners = np.repeat(np.arange(len(dataset)), [len(annotation.boxes) for annotation in dataset])
    sizes = np.array([(a.height, a.width) for a in dataset]).reshape(-1, 2)[owners]
    boxes = clip(_joined(dataset, "boxes").reshape(-1, 4), (sizes[:, :1], sizes[:, 1:]))
    columns = [
        boxes * scales[owners, None],
        _joined(dataset, "classes"),
        _joined(dataset, "ignore"),
    ]
    rows = np.column_stack(columns)
    inside = _areas(rows) > 0
    return owners[inside], rows[inside]


def _joined(dataset: Dataset, column: str) -> np.ndarray:
    return np.concatenate([np.empty(0), *(getattr(one, column) for one in dataset)], axis=None)


def _areas(rows: np.ndarray) -> np.ndarray:
    return (rows[:, 2] - rows[:, 0]) * (rows[:, 3] - rows[:, 1])


def _places(owners: np.ndarray) -> np.ndarray:
    """Count 0, 1, 2, ... within each run of equal numbers."""
    return np.arange(len(owners)) - np.searchsorted(owners, owners)


def _table(
    owners: np.ndarray, rows: np.ndarray, num_images: int, num_rows: int | None = None
) -> np.ndarray:
    """Lay the rows of each image side by side, padded with -1."""
    places = _places(owners)
    table = np.full((num_images, num_rows or max([1, *(places + 1)]), 6), -1, np.float32)
    table[owners, places] = rows
    return table
