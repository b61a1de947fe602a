"""Draws training batches as a detector is given them, with their labels."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from keras_hkd.report.gallery import save_contact_sheet


def save_batch_sheet(
    batches: Iterable[Any], path: str | Path, *, num_batches: int = 3, **options: Any
) -> Path:
    """Draw the pictures of the first batches: labels in colour, what is to be ignored in grey.

    Args:
        batches: of `(images, labels)`, as `keras_hkd.data.training_batches` gives them.
        path: the PNG to write; its folder is made if need be.
        num_batches: how many are drawn.
        **options: of `save_contact_sheet`.

    Returns:
        The path.

    Raises:
        ValueError: there is no batch.

    Example:

    >>> import tempfile
    >>> labels = {"boxes": np.array([[[4.0, 4, 20, 60]]]), "classes": np.array([[0.0]])}
    >>> batch = (np.zeros((1, 64, 64, 3), np.float32), labels)
    >>> save_batch_sheet([batch], Path(tempfile.mkdtemp()) / "batches.png").name
    'batches.png'
    """
    images, entries, captions = [], [], []
    for number, (pixels, labels) in enumerate(itertools.islice(batches, num_batches)):
        pixels = np.asarray(pixels)
        labels = {name: np.asarray(value) for name, value in labels.items() if name != "teacher"}
        for row, picture in enumerate(pixels):
            entry = _entry({name: value[row] for name, value in labels.items()})
            counts = f"{np.sum(~entry['ignore'])} + {np.sum(entry['ignore'])} ignored"
            images.append(np.clip(np.round(picture), 0, 255).astype(np.uint8))
            entries.append(entry)
            captions.append(f"{number}: {picture.shape[0]}x{picture.shape[1]}, {counts}")
    return save_contact_sheet(images, entries, captions, path, **options)


def _entry(labels: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the boxes of one picture, and which are to be ignored; nothing of a classifier."""
    if "boxes" not in labels:
        return {"boxes": np.zeros((0, 4)), "ignore": np.zeros(0, bool)}
    people = labels["boxes"][labels["classes"].reshape(-1) >= 0]
    regions = labels.get("ignore_boxes", np.zeros((0, 4)))
    regions = regions[regions[:, 0] >= 0]
    ignore = np.repeat([False, True], [len(people), len(regions)])
    return {"boxes": np.concatenate([people, regions]), "ignore": ignore}
