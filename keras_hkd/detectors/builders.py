"""Named detectors of all families, built with random weights and no network access."""

import os
from collections.abc import Sequence
from typing import Any

import keras

from keras_hkd.batch_norm import synchronize_batch_norm
from keras_hkd.detectors.detector import Detector
from keras_hkd.detectors.families import BUILDERS
from keras_hkd.named_builders import load_builder

__all__ = ["build", "names"]


def names() -> dict[str, str]:
    """List the names that `build` knows, with a line about each.

    Example:

    >>> "yolo_v8_micro" in names()
    True
    """
    return {name: row.about for name, row in BUILDERS.items()}


def build(
    name: str,
    *,
    image_size: tuple[int, int] = (320, 320),
    class_names: Sequence[str] = ("person",),
    backbone_weights: str | os.PathLike | None = None,
    synchronized: bool = False,
    seed: int | None = None,
    **options: Any,
) -> Detector:
    """Build a named detector with random weights.

    Args:
        name: one of `names()`.
        image_size: `(height, width)` in pixels it works at by default.
        class_names: classes to detect.
        backbone_weights: path of ImageNet weights for a MobileNetV2 backbone.
        synchronized: BatchNorm statistics over all replicas of a `tf.distribute` strategy.
        seed: seed of the initial weights, through `keras.utils.set_random_seed`; None leaves the
            global generators alone.
        **options: passed to the `Detector`.

    Returns:
        A `Detector`.

    Raises:
        ValueError: unknown name, or `backbone_weights` for a backbone that takes none.

    Example:

    >>> detector = build("yolo_v8_micro", image_size=(64, 64))
    >>> detector.count_params() < 300_000
    True
    """
    make = load_builder(BUILDERS, name, "detector", backbone_weights)
    if seed is not None:
        keras.utils.set_random_seed(seed)
    detector = make(
        image_size=image_size,
        class_names=tuple(class_names),
        name=name.replace(".", "_"),
        **options,
    )
    if synchronized:
        synchronize_batch_norm(detector)
    return detector
