"""EveryTeacher: one hierarchy for each of several teachers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import keras

from keras_hkd.errors import InvalidValueError
from keras_hkd.hierarchies.hierarchy import Hierarchy
from keras_hkd.tensors import Tensor

if TYPE_CHECKING:
    from keras_hkd.hierarchies.step import Step
    from keras_hkd.learner import Learner

__all__ = ["EveryTeacher"]


@keras.saving.register_keras_serializable(package="keras_hkd")
class EveryTeacher(Hierarchy):
    """Sums a hierarchy's terms over several teachers, each read by a copy of the hierarchy.

    `L = sum_k v_k L_k`, v_k the weight of teacher k. Each copy has its own projections, so teachers
    may be of different widths. A Distiller of several teachers wraps every hierarchy in it that
    does not name one teacher.

    Args:
        hierarchy: the hierarchy that is copied for each teacher.
        weights: v_k, one number for each teacher; None for the Distiller's `teacher_weights`.
        name: name of the term; that of the hierarchy by default.

    Raises:
        ValueError: when attached, if the hierarchy cannot read a teacher.

    Example:

    >>> from keras_hkd.hierarchies import Pyramid
    >>> from keras_hkd.losses import PearsonCorrelation
    >>> EveryTeacher(Pyramid(PearsonCorrelation()), weights=(0.7, 0.3)).name
    'pyramid'

    Reference:
        You et al., Learning from Multiple Teacher Networks, KDD 2017 (for classifiers).
    """

    def __init__(
        self,
        hierarchy: Hierarchy,
        *,
        weights: Sequence[float] | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(hierarchy.loss, name=name or hierarchy.name, **kwargs)
        self.hierarchy = hierarchy
        self.weights_of_teachers: Any = None if weights is None else tuple(map(float, weights))
        self.of_teacher: list[Hierarchy] = []
        self.learner_kinds = hierarchy.learner_kinds
        self.needs_same_grid = hierarchy.needs_same_grid

    def check_loss(self, loss: Any, tensors: Sequence[str] | None = None) -> None:
        """Do nothing: the inner hierarchy has checked its loss."""

    @property
    def frozen_layers(self) -> tuple[keras.layers.Layer, ...]:
        return tuple(layer for one in self.of_teacher for layer in one.frozen_layers)

    def attach_to(
        self, teachers: Sequence[Any], weights: Sequence[float], student: Learner
    ) -> None:
        """Make a copy for each teacher and attach it; takes the place of `attach`.

        Args:
            teachers: the teachers, in order.
            weights: their weights, unless this hierarchy was given weights.
            student: a `Learner`.

        Raises:
            ValueError: if the numbers of weights and teachers differ.
        """
        self.weights_of_teachers = self.weights_of_teachers or tuple(weights)
        if len(self.weights_of_teachers) != len(teachers):
            raise InvalidValueError(
                f"Expected a weight for each of {len(teachers)} teachers. "
                f"Received: weights={self.weights_of_teachers}"
            )
        self.of_teacher = [self.hierarchy, *(self.hierarchy.copy() for _ in teachers[1:])]
        for number, (one, teacher) in enumerate(zip(self.of_teacher, teachers, strict=True)):
            one.attach(teacher, student)
            self.projections.update({f"{number}_{key}": v for key, v in one.projections.items()})
        self.built = True

    def compute(self, step: Step) -> Tensor:
        return sum(
            weight * one.compute(own)
            for weight, one, own in zip(
                self.weights_of_teachers, self.of_teacher, step.of_teachers, strict=True
            )
        )

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "hierarchy": keras.saving.serialize_keras_object(self.hierarchy),
            "weights": self.weights_of_teachers,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        config = dict(config)
        config["hierarchy"] = keras.saving.deserialize_keras_object(config["hierarchy"])
        return cls(**config)
