"""Draws which anchors of a student are to find which person."""

from __future__ import annotations

import numpy as np
from keras import ops
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from keras_hkd.hierarchies.step import Step
from keras_hkd.visualize.panels import (
    COLOURS,
    IGNORED,
    PEOPLE,
    panels,
    people_of,
    picture_of,
    show_boxes,
    show_picture,
)


def draw_assignment(step: Step, row: int = 0) -> Figure:
    """Draw the student's label assignment: the anchors that learn each person.

    Args:
        step: what `keras_hkd.visualize.look` gave; it needs no teacher.
        row: which image of the batch.

    Returns:
        A `matplotlib.figure.Figure`: labelled people as boxes, a dot in the colour of its level for
        every anchor that stands for one, with a line to the middle of its box, and grey dots for
        anchors that take no part in the class loss. The legend counts them. A person without a dot
        is learnt by no anchor.

    Raises:
        TypeError: if the student predicts a set of boxes, without anchors.

    Example:

    >>> from keras_hkd.data import synthetic_dataset, training_batches
    >>> from keras_hkd.detectors import build
    >>> from keras_hkd.visualize import look
    >>> scenes = synthetic_dataset(1, (64, 64), seed=0)
    >>> batches = training_batches(scenes, image_size=(64, 64), batch_size=1, seed=0)
    >>> images, labels = next(iter(batches))
    >>> figure = draw_assignment(look(None, build("yolo_v8_micro", seed=0), images, labels))
    >>> figure.axes[0].get_title()
    'label assignment'
    """
    picture = picture_of(step, row)
    points = np.asarray(ops.convert_to_numpy(step.student.anchor_points(step.image_size)))
    positive, ignored, targets = (
        np.asarray(ops.convert_to_numpy(x))[row] for x in step.assignment[:3]
    )
    figure, axes = panels(1, 1, picture.shape[:2])
    figure.set_size_inches(*(1.8 * figure.get_size_inches()))
    panel = axes[0, 0]
    show_picture(panel, picture)
    panel.set_title("label assignment")
    show_boxes(panel, people_of(step, row), PEOPLE, width=1.6)
    if ignored.any():
        label = f"ignored: {int(ignored.sum())}"
        panel.scatter(*points[ignored].T, s=3, color=IGNORED, label=label)
    start = 0
    per_cell = step.student.anchors_per_cell
    for number, (level, cells) in enumerate(step.student.level_shapes(step.image_size).items()):
        stop = start + cells[0] * cells[1] * per_cell
        here = np.flatnonzero(positive[start:stop]) + start
        colour = COLOURS[number % len(COLOURS)]
        middles = (targets[here, :2] + targets[here, 2:]) / 2
        lines = np.stack([points[here], middles], axis=1)
        panel.add_collection(LineCollection(list(lines), colors=colour, linewidths=0.5, alpha=0.6))
        size = 8 * (number + 1)
        panel.scatter(*points[here].T, s=size, color=colour, label=f"{level}: {len(here)}")
        start = stop
    figure.legend(loc="outside lower center", ncols=4, fontsize="small")
    return figure
