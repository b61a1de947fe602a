"""Where a detector looks: spatial attention of its feature maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from keras import ops
from matplotlib.figure import Figure

from keras_hkd.distillation.learners import as_learner
from keras_hkd.errors import InvalidValueError
from keras_hkd.losses.attention_transfer import AttentionTransfer
from keras_hkd.tensors import TensorDict
from keras_hkd.visualize.panels import (
    PEOPLE,
    as_picture,
    panels,
    show_boxes,
    show_map,
    show_picture,
)


def attention_maps(
    detector: Any, images: Any, levels: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """Compute the spatial attention of a detector's pyramid, as `AttentionTransfer` compares it.

    Widths do not matter, so that detectors of any family can be set beside one another.

    Args:
        detector: a detector.
        images: `(batch, height, width, 3)` RGB in [0, 255].
        levels: pyramid levels; all by default.

    Returns:
        level -> `(batch, h, w)`; the squares of each image sum to 1.

    Raises:
        ValueError: if the detector lacks a level.

    Example:

    >>> from keras_hkd.detectors import build
    >>> maps = attention_maps(build("yolo_v8_micro", image_size=(64, 64)), np.ones((1, 64, 64, 3)))
    >>> {level: one.shape for level, one in maps.items()}
    {'P3': (1, 8, 8), 'P4': (1, 4, 4), 'P5': (1, 2, 2)}
    """
    detector = as_learner(detector)
    outputs = detector(ops.convert_to_tensor(np.asarray(images, "float32")), training=False)
    return attention_of(outputs, levels)


def attention_of(outputs: TensorDict, levels: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """Compute the spatial attention of the pyramid of raw outputs; see `attention_maps`.

    Args:
        outputs: what `detector(images)` gave.
        levels: pyramid levels; all by default.
    """
    pyramid = outputs["pyramid"]
    wanted = list(pyramid) if levels is None else list(levels)
    missing = [level for level in wanted if level not in pyramid]
    if missing or not wanted:
        raise InvalidValueError(f"`levels` must be among {list(pyramid)}. Received: {levels}")
    maps = {}
    for level in wanted:
        features = ops.cast(pyramid[level], "float32")
        batch, height, width = (int(side) for side in features.shape[:3])
        found = AttentionTransfer().attention(features, ops.ones((batch, height * width)))
        maps[level] = np.asarray(ops.convert_to_numpy(found)).reshape(batch, height, width)
    return maps


def draw_attention(
    detectors: Mapping[str, Any],
    image: Any,
    *,
    boxes: Any = (),
    levels: Sequence[str] | None = None,
) -> Figure:
    """Draw where detectors look, side by side: a row for each level.

    Args:
        detectors: heading -> detector, such as `{"teacher": teacher, "student": student}`.
        image: `(height, width, 3)` RGB in [0, 255], at a size that all of them take.
        boxes: `(n, 4)` xyxy pixels to draw on the picture, such as the labelled people.
        levels: pyramid levels; all that the detectors have in common by default.

    Returns:
        A `matplotlib.figure.Figure`: the picture, then a map for each detector. The colours of a
        row go from 0 to the largest value in it, so that its maps can be compared.

    Raises:
        ValueError: if there is no detector, or no common level.

    Example:

    >>> from keras_hkd.detectors import build
    >>> pair = {name: build("yolo_v8_micro", image_size=(64, 64)) for name in ("one", "other")}
    >>> figure = draw_attention(pair, np.zeros((64, 64, 3)), levels=("P3", "P4"))
    >>> [axes.get_title() for axes in figure.axes][:3]
    ['picture', 'one', 'other']
    """
    if not detectors:
        raise InvalidValueError("Expected at least one detector. Received: none")
    found = {
        name: attention_maps(detector, np.asarray(image)[None], None)
        for name, detector in detectors.items()
    }
    first, *others = found.values()
    common = [level for level in first if all(level in one for one in others)]
    wanted = common if levels is None else list(levels)
    if not wanted or not set(wanted) <= set(common):
        raise InvalidValueError(
            f"`levels` must be among those that all detectors have, {common}. "
            f"Received: levels={levels}"
        )
    shape = np.asarray(image).shape[:2]
    figure, axes = panels(len(wanted), 1 + len(found), shape)
    for line, level in zip(axes, wanted, strict=True):
        show_picture(line[0], as_picture(image))
        line[0].set_ylabel(level)
        show_boxes(line[0], boxes, PEOPLE)
        largest = max(float(one[level].max()) for one in found.values())
        for panel, one in zip(line[1:], found.values(), strict=True):
            show_map(panel, one[level][0], shape, (0.0, largest))
    for panel, name in zip(axes[0], ("picture", *found), strict=True):
        panel.set_title(name)
    return figure
