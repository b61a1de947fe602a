"""The labels of all images as equal rows: people apart from what is to be ignored."""

from __future__ import annotations

import dataclasses

import numpy as np

from keras_hkd.boxes.geometry import clip
from keras_hkd.data.annotations import ImageAnnotation
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
        people, ignored = [], []
        for annotation, scale in zip(dataset, scales, strict=True):
            rows = _clipped_rows(annotation, scale)
            is_person = rows[:, 5] == 0
            persons = rows[is_person]
            kept = np.zeros(len(persons), bool)
            kept[np.argsort(-_areas(persons), kind="stable")[:max_boxes]] = True
            people.append(persons[kept])
            ignored.append(np.concatenate([rows[~is_person], persons[~kept]]))
        table = _pad(people, max_boxes or max([1, *map(len, people)]))
        ignore_table = _pad(ignored, max([1, *map(len, ignored)]))
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


def _clipped_rows(annotation: ImageAnnotation, scale: float) -> np.ndarray:
    """Make rows of x1, y1, x2, y2, class, ignore; boxes wholly outside the image are left out."""
    boxes = clip(annotation.boxes, (annotation.height, annotation.width)) * scale
    rows = np.column_stack([boxes, annotation.classes, annotation.ignore])
    return rows[_areas(rows) > 0]


def _areas(rows: np.ndarray) -> np.ndarray:
    return (rows[:, 2] - rows[:, 0]) * (rows[:, 3] - rows[:, 1])


def _pad(tables: list[np.ndarray], num_rows: int) -> np.ndarray:
    padded = np.full((len(tables), num_rows, 6), -1, np.float32)
    for row, table in zip(padded, tables, strict=True):
        row[: len(table)] = table
    return padded
