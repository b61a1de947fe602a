"""What every hierarchy shares: a name, a loss, a check of the pair, and its projections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

import keras

from keras_hkd.errors import InvalidTypeError, InvalidValueError
from keras_hkd.hierarchies.alignment import projection
from keras_hkd.tensors import Tensor

if TYPE_CHECKING:
    from keras_hkd.hierarchies.step import Step
    from keras_hkd.learner import Learner

__all__ = ["Hierarchy"]


class Hierarchy(keras.layers.Layer):
    """Reads the same knowledge from teacher and student and hands it to a loss.

    A subclass implements `check(teacher, student)`, which raises a ValueError for a pair that it
    cannot serve; `attach(teacher, student)`, which creates the projections it needs; and
    `compute(step)`, which returns the scalar loss of a `Step`. Layers and weights of the hierarchy
    (projections, branches, a queue made with `add_weight(trainable=False)`) are trained and
    checkpointed by the Distiller and never carried by the student; those in `frozen_layers` are
    checkpointed and never trained. Layers that behave otherwise in training are called with
    `training=step.training`, and state is assigned only where that holds.

    Args:
        loss: a `keras_hkd.losses` object, or any `loss(teacher, student, *, mask=None)`.
        name: under which the term is logged, as `<name>_loss`.
        teacher: number of the teacher that is read, where the Distiller has several; None for all
            of them, weighted.
    """

    def __init__(
        self, loss: Any, *, name: str | None = None, teacher: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(name=name or self.default_name, **kwargs)
        self.teacher = teacher
        if not callable(loss):
            raise InvalidTypeError(
                f"{type(self).__name__} expects a loss that is called as loss(teacher, student), "
                f"such as keras_hkd.losses.FeatureImitation(). Received: {loss!r}"
            )
        self.check_loss(loss)
        self.loss = loss
        self.projections: dict[str, keras.layers.Layer] = {}
        self.level_losses: dict[str, Any] = {}
        self.loss_layers: dict[str, keras.layers.Layer] = {}

    default_name: str = "hierarchy"

    needs_teacher: bool = True
    """False where a Distiller without a teacher can compute the term."""

    learner_kinds: tuple[str, ...] = ("detector", "classifier")
    """Kinds of models that are read here."""

    runs_teacher: bool = False
    """True where the student's features go through layers of the teacher."""

    needs_same_grid: bool = False
    """True where teacher and student must see the images at one size."""

    gives: tuple[str, ...] = ("image_size", "training")
    """What a loss may declare in its `needs` and `uses` and finds here."""

    tensors: tuple[str, ...] = ()
    """What is compared here, in the words of a loss's `compares`; empty where that varies."""

    reads: tuple[str, ...] | None = None
    """Names of the teacher's outputs that are read here, such as `("pyramid",)`, which a cache has
    to hold beside detections; None where layers of the teacher are read, which no cache holds."""

    samples: tuple[str, ...] | None = None
    """Names of losses in `keras_hkd.losses` with each of which `possible` tries it on a pair; empty
    to try it with its own loss, None to leave it out."""

    rank: int | None = None
    """Axes of the tensors that the loss compares, the batch included; None where it varies."""

    @property
    def frozen_layers(self) -> tuple[keras.layers.Layer, ...]:
        """Layers of this hierarchy that never train, such as a teacher's branches."""
        return ()

    def check_loss(self, loss: Any, tensors: Sequence[str] | None = None) -> None:
        """Raises a ValueError where a loss cannot compare what is read here.

        Args:
            loss: what the hierarchy is given.
            tensors: what it would compare; those of the hierarchy by default.
        """
        tensors = self.tensors if tensors is None else tensors
        name, where = type(loss).__name__, type(self).__name__
        mend = "Use the loss at another hierarchy (docs/concepts/losses.md says which)."
        missing = [need for need in getattr(loss, "needs", ()) if need not in self.gives]
        if missing:
            raise InvalidValueError(
                f"{name} needs {', '.join(missing)}, which {where} cannot give: it gives "
                f"{', '.join(self.gives)}. {mend}"
            )
        compares = getattr(loss, "compares", ())
        if compares and tensors and not set(compares) & set(tensors):
            raise InvalidValueError(
                f"{name} compares {' or '.join(compares)}, and {where} reads "
                f"{' or '.join(tensors)}. {mend}"
            )
        fewest, most = getattr(loss, "min_rank", 1), getattr(loss, "max_rank", None)
        if self.rank is not None and not fewest <= self.rank <= (most or self.rank):
            wanted = f"{fewest}" if fewest == most else f"at least {fewest}"
            raise InvalidValueError(
                f"{name} compares tensors of {wanted} axes, and those of {where} have {self.rank}. "
                f"{mend}"
            )

    def check_classes(self, student: Learner) -> None:
        """Raises a ValueError where the loss cannot compare logits of as many classes."""
        check_channels = getattr(self.loss, "check_channels", None)
        if check_channels is not None:
            check_channels(len(student.class_names))

    def check(self, teacher: Any, student: Learner) -> None:
        """Raises a ValueError that says why this pair cannot be compared here, if so."""

    def way(self, teacher: Any, student: Learner, same_size: bool = True) -> str:
        """How this pair is read here, in words; the pair has passed `check`.

        Args:
            teacher: a `Learner`.
            student: a `Learner`.
            same_size: whether both see the images at one size.
        """
        return "direct"

    def attach(self, teacher: Any, student: Learner) -> None:
        """Checks the pair and builds what it needs; called once by the Distiller."""
        self.check(teacher, student)
        self.built = True

    def compute(self, step: Step) -> Tensor:
        """Scalar loss of a `Step`."""
        raise NotImplementedError(f"{type(self).__name__} must implement `compute`.")

    def copy(self) -> Self:
        """One like it that is not attached yet, with the same loss."""
        config = self.get_config()
        if "loss" in config:
            config["loss"] = self.loss  # any function will do, also one that cannot be saved
        return type(self).from_config(config)

    def project(self, key: str, features: Tensor) -> Tensor:
        """The student's features at the teacher's width; themselves where widths agree."""
        layer = self.projections.get(key)
        return features if layer is None else layer(features)

    def add_projection(self, key: str, teacher_channels: int, student_channels: int) -> None:
        """Creates what one level learns: a projection, or the layers of a loss of its own.

        A projection where the loss needs equal widths that differ; a fresh loss where losses learn.
        """
        if getattr(self.loss, "needs_equal_channels", True):
            if teacher_channels != student_channels:
                name = f"{self.name}_projection_{key.lower()}"
                self.projections[key] = projection(student_channels, teacher_channels, name=name)
            student_channels = teacher_channels
        if hasattr(self.loss, "make_layers"):
            self.level_losses[key] = self.loss.fresh()
            self.level_losses[key].build(teacher_channels, student_channels)
            for name, layer in self.level_losses[key].layers.items():
                self.loss_layers[f"{key}_{name}"] = layer

    def given(self, step: Step) -> dict[str, Callable[[], Any]]:
        """`{name: function}` of all that `gives` names, computed only where a loss asks."""
        return {"image_size": lambda: step.image_size, "training": lambda: step.training}

    def compare(
        self, key: str, step: Step, teacher: Tensor, student: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """The loss of one level, with what it declares that it needs.

        Args:
            key: that `add_projection` was called with, if it was.
            step: the `Step`.
            teacher: the teacher's tensor.
            student: the student's, projected.
            mask: weights on the leading axes, or None.
        """
        loss = self.level_losses.get(key, self.loss)
        asked = (*getattr(loss, "needs", ()), *getattr(loss, "uses", ()))
        given = self.given(step)
        context = {name: given[name]() for name in asked if name in given}
        if mask is not None:
            context["mask"] = mask
        return loss(teacher, student, **context)

    def get_config(self) -> dict[str, Any]:
        one = {} if self.teacher is None else {"teacher": self.teacher}
        return {
            "name": self.name,
            "loss": keras.saving.serialize_keras_object(self.loss),
            **one,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        config = dict(config)
        if isinstance(config["loss"], dict):
            config["loss"] = keras.saving.deserialize_keras_object(config["loss"])
        return cls(**config)


def check_unused(hierarchy: Hierarchy) -> None:
    """Raises a ValueError for a hierarchy that another Distiller has attached."""
    if hierarchy.built:
        raise InvalidValueError(
            f"This {type(hierarchy).__name__} belongs to another Distiller, whose projections it "
            "has. Make a new one for each Distiller."
        )


def common_levels(
    levels: Sequence[str] | None, teacher: Any, student: Learner, hierarchy_name: str
) -> list[str]:
    """Pyramid levels to compare: those asked for, or all that both have.

    Raises:
        ValueError: a level that one of the two lacks.
    """
    if not teacher.levels:
        raise InvalidValueError(
            f"{hierarchy_name} reads feature maps, and all that is known of the teacher "
            f"'{teacher.name}' is what it detected. Use ClassLogits and Boxes."
        )
    shared = [level for level in teacher.levels if level in student.levels]
    wanted = shared if levels is None else list(levels)
    missing = [level for level in wanted if level not in shared]
    if missing or not wanted:
        raise InvalidValueError(
            f"{hierarchy_name} cannot read levels {missing or 'in common'}: the teacher has "
            f"{teacher.levels}, the student {student.levels}. Pass levels={tuple(shared)}."
        )
    return wanted
