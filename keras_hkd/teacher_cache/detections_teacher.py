"""A teacher that is only known by what it detected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import keras


@keras.saving.register_keras_serializable(package="keras_hkd")
class DetectionsTeacher:
    """Stands in a Distiller for a teacher of which there are boxes and scores, and nothing else.

    Hierarchies that compare predictions match its detections with the student's anchors; those
    that read features refuse it.

    Args:
        class_names: names of its classes.
        image_size: `(height, width)` in pixels of the images that its boxes lie in.
        name: for messages.

    Example:

    >>> DetectionsTeacher(("person",), (256, 256)).levels
    ()
    """

    kind = "detector"
    levels = ()
    tower_channels = {}
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
        """The class that says how predictions are made: no detector has it."""
        return type(self)

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make it again."""
        return {
            "class_names": self.class_names,
            "image_size": self.image_size,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The inverse of `get_config`."""
        return cls(**config)
