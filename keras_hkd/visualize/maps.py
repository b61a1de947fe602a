"""Draws what a loss compares at the cells of each level."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from keras_hkd.hierarchies.hierarchy import Hierarchy
from keras_hkd.hierarchies.step import Step
from keras_hkd.visualize.panels import (
    PEOPLE,
    panels,
    people_of,
    picture_of,
    show_boxes,
    show_map,
    show_picture,
)
from keras_hkd.visualize.seen import level_maps


def draw_maps(
    hierarchy: Hierarchy, step: Step, row: int = 0, *, standardize: bool = False
) -> Figure:
    """Draw what a hierarchy gives to its loss: teacher, student, what differs, how it is weighted.

    Args:
        hierarchy: a hierarchy that is attached to the pair, such as one of
            `distiller.distillation_losses`.
        step: what `keras_hkd.visualize.look` gave.
        row: which image of the batch.
        standardize: see `level_maps`.

    Returns:
        A `matplotlib.figure.Figure` with a row for each level: the picture with its people, the
        maps of teacher and student in the same colours, their difference, and where cells count
        unequally their weights. Colours begin at 0. See `LevelMap` for what the numbers are.

    Raises:
        ValueError: see `level_maps`.

    Example:

    >>> from keras_hkd.data import synthetic_dataset, training_batches
    >>> from keras_hkd.detectors import build
    >>> from keras_hkd.hierarchies import ClassLogits
    >>> from keras_hkd.losses import AdaptiveDistillation
    >>> from keras_hkd.visualize import look
    >>> scenes = synthetic_dataset(1, (64, 64), seed=0)
    >>> batches = training_batches(scenes, image_size=(64, 64), batch_size=1, seed=0)
    >>> images, labels = next(iter(batches))
    >>> teacher, student = build("yolo_v8_micro", seed=1), build("yolo_v8_micro", seed=0)
    >>> logits = ClassLogits(AdaptiveDistillation())
    >>> logits.attach(teacher, student)
    >>> figure = draw_maps(logits, look(teacher, student, images, labels))
    >>> [axes.get_title() for axes in figure.axes][:5]
    ['picture', 'teacher', 'student', 'difference', 'weights']
    """
    maps = level_maps(hierarchy, step, row, standardize)
    picture = picture_of(step, row)
    shape = picture.shape[:2]
    headings = ["picture", "teacher", "student", "difference"]
    if any(one.weights is not None for one in maps):
        headings.append("weights")
    figure, axes = panels(len(maps), len(headings), shape)
    keys = {one.key for one in maps}
    for line, one in zip(axes, maps, strict=True):
        show_picture(line[0], picture)
        several = one.key != one.level and len(keys) > 1
        line[0].set_ylabel(f"{one.key} {one.level}" if several else one.level)
        show_boxes(line[0], people_of(step, row), PEOPLE)
        both = [one.teacher, one.student]
        # From 0 on, so that noise in a map of one value does not look like something.
        for panel, values in zip(line[1:3], both, strict=True):
            found = show_map(panel, values, shape, _from_zero(*both))
        figure.colorbar(found, ax=line[2], shrink=0.8)
        found = show_map(line[3], one.difference, shape, _from_zero(one.difference))
        figure.colorbar(found, ax=line[3], shrink=0.8)
        if len(headings) == 5:
            if one.weights is None:
                line[4].set_axis_off()
            else:
                show_map(line[4], one.weights, shape, _from_zero(one.weights))
    for panel, heading in zip(axes[0], headings, strict=True):
        panel.set_title(heading)
    figure.suptitle(hierarchy.name)
    return figure


def _from_zero(*maps: np.ndarray) -> tuple[float, float]:
    """Limits of the colours of maps that are drawn alike."""
    return 0.0, max(1e-6, *(float(one.max()) for one in maps))
