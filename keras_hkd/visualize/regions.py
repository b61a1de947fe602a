"""Draws the regions that `Region` reads, each at its level."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from keras import ops
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from keras_hkd.errors import InvalidTypeError, InvalidValueError
from keras_hkd.hierarchies.step import Step
from keras_hkd.visualize.panels import COLOURS, panels, picture_of, show_boxes, show_picture


class RegionSet(NamedTuple):
    """The regions of one image.

    Attributes:
        boxes: `(n, 4)` xyxy pixels.
        levels: name of the pyramid level that each is read from.
        labelled: `(n,)` bool: whether it is a labelled person, and no detection of the teacher.
    """

    boxes: np.ndarray
    levels: tuple[str, ...]
    labelled: np.ndarray


def region_set(hierarchy: Any, step: Step, row: int = 0) -> RegionSet:
    """Return the regions that a hierarchy compares on an image.

    Args:
        hierarchy: an attached `Region`.
        step: what `keras_hkd.visualize.look` gave.
        row: which image of the batch.

    Raises:
        TypeError: if the hierarchy reads no regions.
        ValueError: if it is not attached.
    """
    if not hasattr(hierarchy, "regions_of"):
        raise InvalidTypeError(
            "Expected a keras_hkd.hierarchies.Region; `draw_maps` shows the others. "
            f"Received: {type(hierarchy).__name__} '{hierarchy.name}'"
        )
    if not hierarchy.built:
        raise InvalidValueError(
            "Expected a Region that is attached to the pair: call `attach(teacher, student)`. "
            f"Received: '{hierarchy.name}', which is not attached"
        )
    boxes, valid, numbers = (
        np.asarray(ops.convert_to_numpy(x))[row] for x in hierarchy.regions_of(step)
    )
    # Labelled people come first.
    of_labels = np.asarray(ops.convert_to_numpy(step.regions(0, 0.0)[1]))[row]
    labelled = np.arange(int(valid.sum())) < int(of_labels.sum())
    return RegionSet(boxes[valid], tuple(f"P{number}" for number in numbers[valid]), labelled)


def draw_regions(hierarchy: Any, step: Step, row: int = 0) -> Figure:
    """Draw the regions that a `Region` compares, in the colour of the level they are read from.

    Args:
        hierarchy: an attached `keras_hkd.hierarchies.Region`.
        step: what `keras_hkd.visualize.look` gave.
        row: which image of the batch.

    Returns:
        A `matplotlib.figure.Figure`: labelled people in full lines, detections of the teacher in
        broken ones.

    Raises:
        TypeError: if the hierarchy reads no regions.
        ValueError: if it is not attached.

    Example:

    >>> from keras_hkd.data import synthetic_dataset, training_batches
    >>> from keras_hkd.detectors import build
    >>> from keras_hkd.hierarchies import Region
    >>> from keras_hkd.losses import FeatureImitation
    >>> from keras_hkd.visualize import look
    >>> scenes = synthetic_dataset(1, (64, 64), seed=0)
    >>> batches = training_batches(scenes, image_size=(64, 64), batch_size=1, seed=0)
    >>> images, labels = next(iter(batches))
    >>> teacher, student = build("yolo_v8_micro", seed=1), build("yolo_v8_micro", seed=0)
    >>> region = Region(FeatureImitation(), num_detections=0)
    >>> region.attach(teacher, student)
    >>> figure = draw_regions(region, look(teacher, student, images, labels))
    >>> figure.axes[0].get_title()
    'region'
    """
    picture = picture_of(step, row)
    found = region_set(hierarchy, step, row)
    figure, axes = panels(1, 1, picture.shape[:2])
    figure.set_size_inches(*(1.8 * figure.get_size_inches()))
    panel = axes[0, 0]
    show_picture(panel, picture)
    panel.set_title(hierarchy.name)
    lines = []
    for number, level in enumerate(hierarchy.attached_levels):
        here = np.array([one == level for one in found.levels], bool)
        colour = COLOURS[number % len(COLOURS)]
        show_boxes(panel, found.boxes[here & found.labelled], colour, width=1.8)
        show_boxes(panel, found.boxes[here & ~found.labelled], colour, "--")
        lines.append(Line2D([], [], color=colour, label=f"{level}: {int(here.sum())}"))
    lines.append(Line2D([], [], color="grey", linestyle="-", label="labelled"))
    lines.append(Line2D([], [], color="grey", linestyle="--", label="teacher's"))
    figure.legend(handles=lines, loc="outside lower center", ncols=len(lines), fontsize="small")
    return figure
