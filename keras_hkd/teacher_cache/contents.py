"""Contents: the outputs of a teacher that a cache must hold for the hierarchies that read it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from keras_hkd.errors import InvalidValueError
from keras_hkd.hierarchies.keras_loss import as_hierarchies

if TYPE_CHECKING:
    from keras_hkd.hierarchies.hierarchy import Hierarchy

DETECTIONS, PREDICTIONS = "detections", ("class_logits", "box_outputs")
MAPS = ("pyramid", "class_tower")
NAMES = (DETECTIONS, *PREDICTIONS, *MAPS)


@dataclasses.dataclass(frozen=True)
class Contents:
    """The outputs that are stored for each view; detections, which are small, always are.

    Args:
        outputs: some of `"class_logits"`, `"box_outputs"`, `"pyramid"`, `"class_tower"`.
        levels: pyramid levels of `pyramid`; None for all.

    Raises:
        ValueError: if a name is none of these.

    Example:

    >>> from keras_hkd.hierarchies import Pyramid
    >>> from keras_hkd.losses import FeatureImitation
    >>> Contents.of([Pyramid(FeatureImitation(), levels=("P3", "P4"))])
    Contents(outputs=('pyramid',), levels=('P3', 'P4'))
    """

    outputs: tuple[str, ...] = PREDICTIONS
    levels: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        unknown = set(self.outputs) - set(NAMES)
        if unknown:
            raise InvalidValueError(
                f"What is stored must be some of {', '.join(NAMES)}. Received: {sorted(unknown)}"
            )
        ordered = tuple(name for name in NAMES if name in self.outputs and name != DETECTIONS)
        object.__setattr__(self, "outputs", ordered)

    @classmethod
    def of(cls, hierarchies: Any) -> Contents:
        """Return what hierarchies read.

        Args:
            hierarchies: the `distillation_losses` of a Distiller.

        Raises:
            ValueError: if one runs the teacher itself.
        """
        outputs: set[str] = set()
        levels: set[tuple[str, ...] | None] = set()
        for outer in as_hierarchies(hierarchies):
            hierarchy: Any = getattr(outer, "hierarchy", outer)  # within an EveryTeacher
            read = reads(hierarchy)
            outputs.update(read)
            if "pyramid" in read:
                levels.add(getattr(hierarchy, "levels", None))
        named = set() if None in levels else {level for some in levels for level in some or ()}
        return cls(tuple(outputs), tuple(sorted(named)) if named else None)


def reads(hierarchy: Hierarchy) -> tuple[str, ...]:
    """Return the names of the teacher's outputs that a hierarchy reads beside detections.

    Args:
        hierarchy: a `Hierarchy`.

    Raises:
        ValueError: if it runs layers of the teacher, which no cache holds.
    """
    if not hierarchy.needs_teacher:
        return ()
    if hierarchy.reads is None:
        raise InvalidValueError(
            f"{type(hierarchy).__name__} reads layers of the teacher itself, which a cache does "
            "not hold: train it with the teacher. A cache serves hierarchies that read predictions "
            "or maps of the pyramid and the class tower, and those of your own whose attribute "
            f"`reads` is a tuple of names of outputs. Received: reads={hierarchy.reads}"
        )
    return tuple(hierarchy.reads)
