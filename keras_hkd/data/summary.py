"""The line that says what was read: images, boxes by class, what was left out, and why."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np

from keras_hkd.data.annotations import Dataset

_MOST = 5


def summary(dataset: Dataset) -> str:
    """Say in one line what a dataset holds and what the classes were taken to be.

    Args:
        dataset: any dataset.

    Example:
        >>> from keras_hkd.data.annotations import ImageAnnotation
        >>> image = ImageAnnotation("", 1, 64, 48, [[1, 2, 11, 32], [0, 0, 9, 9]], [0, 0], [0, 1])
        >>> print(summary(Dataset((image,), ("person",), "street", "coco")))
        street (coco): 1 image, 1 person, 1 ignore region; nothing skipped
    """
    parts = [f"{_count(len(dataset), 'image')}, {_classes(dataset)}"]
    left_out = Counter(dataset.findings.left_out).most_common()
    if left_out:
        shown = [f"{name} {count}" for name, count in left_out[:_MOST]]
        more = sum(count for _, count in left_out[_MOST:])
        parts.append(
            f"left out {', '.join(shown)}"
            + (f" and {more} of {len(left_out) - _MOST} more classes" if more else "")
        )
    parts.append(_skipped(dataset))
    parts += dataset.findings.notes
    return f"{dataset.source} ({dataset.format}): {'; '.join(parts)}"


def counts_by_class(dataset: Dataset) -> dict[str, int]:
    """Count the boxes of each class, ignore regions left aside.

    Args:
        dataset: any dataset.
    """
    return dict(zip(dataset.class_names, _counts(dataset), strict=True))


def _counts(dataset: Dataset) -> list[int]:
    counts = np.zeros(len(dataset.class_names), np.int64)
    for annotation in dataset:
        counted = ~annotation.ignore & (annotation.classes >= 0)
        counts += np.bincount(annotation.classes[counted], minlength=len(counts))
    return counts.tolist()


def _classes(dataset: Dataset) -> str:
    counts = _counts(dataset)
    num_ignored = sum(int(annotation.ignore.sum()) for annotation in dataset)
    order = sorted(range(len(counts)), key=lambda number: -counts[number])
    shown = sorted(order[:_MOST]) if len(order) > _MOST else range(len(order))
    parts = [_class(dataset, number, int(counts[number])) for number in shown]
    if len(order) > _MOST:
        rest = int(sum(counts[number] for number in order[_MOST:]))
        parts.append(f"{rest:,} of {len(order) - _MOST} more classes")
    if num_ignored:
        parts.append(_count(num_ignored, "ignore region"))
    return ", ".join(parts)


def _class(dataset: Dataset, number: int, count: int) -> str:
    """A class with the number of its boxes, and what the file calls it if that differs."""
    name = dataset.class_names[number]
    taken = dataset.findings.taken[number] if dataset.findings.taken else {}
    names = {found: of_name for found, of_name in taken.items() if of_name}
    if not names or set(names) == {name}:
        return f"{count:,} {name}"
    origin = ", ".join(f"{found} {of_name:,}" for found, of_name in names.items())
    return f"{count:,} {name} ({origin})"


def _skipped(dataset: Dataset) -> str:
    if not dataset.skipped:
        return "nothing skipped"
    reasons = Counter(_reason(record.problem) for record in dataset.skipped)
    shown = [f"{count} x {reason}" for reason, count in reasons.most_common(3)]
    more = len(reasons) - len(shown)
    return f"{len(dataset.skipped):,} records skipped ({'; '.join(shown)}" + (
        f"; {more} other reasons)" if more else ")"
    )


def _reason(problem: str) -> str:
    """The kind of a problem: without the values of this very record, cut to a readable length."""
    kind = re.split(r", got |: |, but ", problem)[0]
    kind = re.sub(r"\[[^\]]*\]|'[^']*'", "...", kind)
    kind = re.sub(r"-?\d+(\.\d+)?", "#", kind)
    return kind if len(kind) <= 100 else kind[:97] + "..."


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")
