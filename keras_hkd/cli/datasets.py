"""Reads labelled images for commands, and reports in one line what was read."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from keras_hkd.cli.console import messages, remark

if TYPE_CHECKING:
    from keras_hkd.data.dataset import Dataset

MOST_SHOWN = 20


def read_images(
    source: str | Sequence[str],
    *,
    format: str | None = None,
    on_bad_data: str = "raise",
    classes: Sequence[str] | None = None,
    images: Any = None,
    every_class: bool = False,
    check_images: bool = True,
) -> Dataset:
    """Read a dataset, and report what was read and what was skipped.

    Args:
        source: what `--data` gave.
        format: what `--format` gave.
        on_bad_data: what `--on-bad-data` gave.
        classes: what `--class` gave; the person if None.
        images: what `--images` gave.
        every_class: whether `classes` None means all classes of the source, not the person.
        check_images: whether every picture is decoded, and must be there.

    Returns:
        A `keras_hkd.data.Dataset`.
    """
    from keras_hkd.data import load_dataset

    with reported_doubts():
        dataset = load_dataset(
            source,
            format=format,
            class_names=classes or (None if every_class else ("person",)),
            on_bad_data=on_bad_data,
            check_images=check_images,
            images_folder=images,
        )
    report(dataset)
    return dataset


def read_boxes(
    source: str | Sequence[str],
    *,
    format: str | None = None,
    on_bad_data: str = "raise",
    classes: Sequence[str] | None = None,
    images: Any = None,
) -> Dataset:
    """Read annotations to score with, and report as `read_images` does; see there.

    Args:
        source: as `read_images` takes it.
        format: as `read_images` takes it.
        on_bad_data: as `read_images` takes it.
        classes: as `read_images` takes it; every class of the source if None.
        images: as `read_images` takes it.
    """
    from keras_hkd.data.loading import load_boxes

    with reported_doubts():
        dataset = load_boxes(source, format, classes or None, on_bad_data, images)
    report(dataset)
    return dataset


def report(dataset: Any) -> None:
    """Print the records that were skipped, and the line that sums up a dataset.

    Args:
        dataset: a `keras_hkd.data.Dataset`.
    """
    report_skipped(dataset.skipped)
    say(f"Read {dataset.summary}.")


def report_skipped(skipped: Sequence) -> None:
    """Name the records that were left out, of many the first.

    Args:
        skipped: `BadRecord`s.
    """
    for record in skipped[:MOST_SHOWN]:
        remark(f"Skipped: {record}")
    if len(skipped) > MOST_SHOWN:
        remark(f"Skipped: {len(skipped) - MOST_SHOWN} more.")


def say(text: str) -> None:
    """Tell the user something on the error stream."""
    messages().print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def reported_doubts() -> Iterator[None]:
    """Print the `DataWarning`s that are raised inside as lines; others stay what they are."""
    from keras_hkd.data import DataWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        if issubclass(warning.category, DataWarning):
            remark(f"Warning: {warning.message}")
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
