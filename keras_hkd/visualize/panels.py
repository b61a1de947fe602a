"""Figures of equal panels: pictures, maps over pictures, boxes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from keras import ops
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from keras_hkd.errors import InvalidValueError
from keras_hkd.hierarchies.step import Step

# Wong's colours, which the colour-blind tell apart.
COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#0072b2", "#d55e00", "#f0e442")
PEOPLE = "#2ecc40"
IGNORED = "#9e9e9e"


def panels(rows: int, columns: int, shape: Sequence[int]) -> tuple[Figure, np.ndarray]:
    """Make a figure of panels without ticks.

    Args:
        rows: panels above one another.
        columns: panels beside one another.
        shape: `(height, width)` of what they show, for their proportions.

    Returns:
        The figure, and `(rows, columns)` axes.
    """
    width = 2.6
    height = width * shape[0] / shape[1]
    figure = Figure(
        figsize=(width * columns + 0.6, (height + 0.3) * rows + 0.4), layout="constrained"
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    for one in axes.flat:
        one.set_xticks([])
        one.set_yticks([])
    return figure, axes


def picture_of(step: Step, row: int) -> np.ndarray:
    """Return an image of a step's batch, `(height, width, 3)` uint8.

    Args:
        step: a `Step`.
        row: which image of the batch.

    Raises:
        ValueError: if there is no such image.
    """
    images: Any = step.images
    count = int(images.shape[0])
    if not 0 <= row < count:
        raise InvalidValueError(f"`row` must be 0 to {count - 1}. Received: row={row}")
    return as_picture(ops.convert_to_numpy(images[row]))


def as_picture(image: Any) -> np.ndarray:
    """Convert pixels in [0, 255] to uint8."""
    return np.clip(np.round(np.asarray(image, np.float32)), 0, 255).astype(np.uint8)


def show_picture(axes: Any, picture: np.ndarray) -> None:
    """Draw a picture that fills its panel, whatever is drawn over it.

    Args:
        axes: a panel.
        picture: `(height, width, 3)` uint8.
    """
    axes.imshow(picture)
    axes.autoscale(False)  # boxes reach the edge, and a margin beyond it would be white


def show_map(
    axes: Any, values: np.ndarray, shape: Sequence[int], limits: tuple[float, float]
) -> Any:
    """Draw a map over the whole extent of an image, one square of colour for each cell.

    Args:
        axes: a panel.
        values: `(height, width)` in cells.
        shape: `(height, width)` of the image in pixels.
        limits: smallest and largest value of the colours.

    Returns:
        The `AxesImage`.
    """
    low, high = limits
    extent = (-0.5, shape[1] - 0.5, shape[0] - 0.5, -0.5)
    return axes.imshow(
        values, extent=extent, cmap="viridis", interpolation="nearest", vmin=low, vmax=high
    )


def show_boxes(
    axes: Any, boxes: Iterable[Sequence[float]], colour: str, style: str = "-", width: float = 1.2
) -> None:
    """Draw xyxy boxes in pixels as one collection.

    Args:
        axes: a panel.
        boxes: `(n, 4)`.
        colour: of the lines.
        style: of the lines, as Matplotlib writes them.
        width: of the lines in points.
    """
    shapes = [Rectangle((x1, y1), x2 - x1, y2 - y1) for x1, y1, x2, y2 in boxes]
    if shapes:
        axes.add_collection(
            PatchCollection(
                shapes, facecolor="none", edgecolor=colour, linestyle=style, linewidth=width
            )
        )


def people_of(step: Step, row: int) -> np.ndarray:
    """Return the boxes of the labelled people of an image, `(n, 4)` xyxy pixels."""
    classes = np.asarray(ops.convert_to_numpy(step.labels["classes"]))[row]
    return np.asarray(ops.convert_to_numpy(step.labels["boxes"]))[row][classes >= 0]
