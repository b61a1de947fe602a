"""DetectionsTeacher: the stand-in for a teacher of which only detections are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import keras


@keras.saving.register_keras_serializable(package="keras_hkd")
class DetectionsTeacher:
    """Takes the place of a teacher in a Distiller if only its boxes and scores are known.

    Hierarchies that compare predictions match its detections with the student's anchors; those
    that read features refuse it.

    Args:
        class_names: names of the classes.
        image_size: `(height, width)` in pixels of the images that contain the boxes.
        name: name of the teacher in messages.

    Example:

    >>> DetectionsTeacher(("person",), (256, 256)).levels
    ()
    """

    kind = "detector"
    levels = ()
    tower_channels: dict[str, int] = {}
    variables = weights = ()
    trainable = False

    def __init__(
        self, class_names: Sequence[str], image_size: Sequence[int], name: str = "detections"
    ) -> None:
        self.class_names = tuple(class_names)
        self.image_size = tuple(image_size)
        self.name = name

    @property
    def family(self) -> type:
        """The class that determines how predictions are decoded; no detector has the same."""
        return type(self)

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, a dict that `from_config` takes."""
        return {
            "class_names": self.class_names,
            "image_size": self.image_size,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build a stand-in from what `get_config` returned."""
        return cls(**config)
