"""Sums up in one line what was read: images, boxes by class, what was left out, and why."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from keras_hkd.data.annotations import ImageAnnotation
from keras_hkd.data.findings import Findings

_MOST = 5


def summary(
    images: Sequence[ImageAnnotation],
    class_names: Sequence[str],
    findings: Findings,
    problems: Sequence[str],
) -> str:
    """Say in one line what a dataset holds and what the classes were taken to be.

    Args:
        images: the images of the dataset.
        class_names: names of its classes.
        findings: how the data were read.
        problems: what is wrong with each record that was skipped.

    Example:

    >>> image = ImageAnnotation("", 1, 64, 48, [[1, 2, 11, 32], [0, 0, 9, 9]], [0, 0], [0, 1])
    >>> summary([image], ["person"], Findings(), [])
    '1 image, 1 person, 1 ignore region; nothing skipped'
    """
    parts = [f"{_count(len(images), 'image')}, {_classes(images, class_names, findings)}"]
    left_out = Counter(findings.left_out).most_common()
    if left_out:
        shown = [f"{name} {count}" for name, count in left_out[:_MOST]]
        more = sum(count for _, count in left_out[_MOST:])
        parts.append(
            f"left out {', '.join(shown)}"
            + (f" and {more} of {len(left_out) - _MOST} more classes" if more else "")
        )
    parts.append(_skipped(problems))
    return "; ".join([*parts, *findings.notes])


def counts_by_class(
    images: Sequence[ImageAnnotation], class_names: Sequence[str]
) -> dict[str, int]:
    """Count the boxes of each class, ignore regions left aside.

    Args:
        images: annotated images.
        class_names: names of the classes that they index.

    Example:

    >>> image = ImageAnnotation("", 1, 64, 48, [[1, 2, 11, 32], [0, 0, 9, 9]], [0, 0], [0, 1])
    >>> counts_by_class([image], ["person"])
    {'person': 1}
    """
    return dict(zip(class_names, _counts(images, len(class_names)), strict=True))


def _counts(images: Sequence[ImageAnnotation], num_classes: int) -> list[int]:
    counts = np.zeros(num_classes, np.int64)
    for annotation in images:
        counted = ~annotation.ignore & (annotation.classes >= 0)
        counts += np.bincount(annotation.classes[counted], minlength=num_classes)
    return counts.tolist()


def _classes(
    images: Sequence[ImageAnnotation], class_names: Sequence[str], findings: Findings
) -> str:
    counts = _counts(images, len(class_names))
    num_ignored = sum(int(annotation.ignore.sum()) for annotation in images)
    order = sorted(range(len(counts)), key=lambda number: -counts[number])
    shown = sorted(order[:_MOST]) if len(order) > _MOST else range(len(order))
    taken = findings.taken or [{}] * len(class_names)
    parts = [_class(class_names[n], taken[n], int(counts[n])) for n in shown]
    if len(order) > _MOST:
        rest = int(sum(counts[number] for number in order[_MOST:]))
        parts.append(f"{rest:,} of {len(order) - _MOST} more classes")
    if num_ignored:
        parts.append(_count(num_ignored, "ignore region"))
    return ", ".join(parts)


def _class(name: str, taken: Mapping[str, int], count: int) -> str:
    """Name a class with the number of its boxes, and what the file calls it if that differs."""
    names = {found: of_name for found, of_name in taken.items() if of_name}
    if not names or set(names) == {name}:
        return f"{count:,} {name}"
    origin = ", ".join(f"{found} {of_name:,}" for found, of_name in names.items())
    return f"{count:,} {name} ({origin})"


def _skipped(problems: Sequence[str]) -> str:
    if not problems:
        return "nothing skipped"
    reasons = Counter(map(_reason, problems))
    shown = [f"{count} x {reason}" for reason, count in reasons.most_common(3)]
    more = len(reasons) - len(shown)
    return f"{len(problems):,} records skipped ({'; '.join(shown)}" + (
        f"; {more} other reasons)" if more else ")"
    )


def _reason(problem: str) -> str:
    """Reduce a problem to its kind, without the values of the record."""
    kind = re.split(r"\. Received: |: |, but ", problem)[0]
    kind = re.sub(r"\[[^\]]*\]|'[^']*'", "...", kind)
    kind = re.sub(r"-?\d+(\.\d+)?", "#", kind)
    return kind if len(kind) <= 100 else kind[:97] + "..."


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")
