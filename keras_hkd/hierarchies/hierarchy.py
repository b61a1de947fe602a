"""Hierarchy: the base class of all hierarchies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Self

import keras

from keras_hkd.errors import InvalidTypeError, InvalidValueError
from keras_hkd.hierarchies.alignment import projection
from keras_hkd.hierarchies.step import Compared
from keras_hkd.tensors import Tensor

if TYPE_CHECKING:
    from keras_hkd.hierarchies.step import Step
    from keras_hkd.learner import Learner

__all__ = ["Hierarchy"]


class Hierarchy(keras.layers.Layer):
    """Base class: reads tensors of teacher and student and passes them to a loss.

    Subclasses implement `check(teacher, student)`, which raises a ValueError for a pair that they
    cannot compare; `attach(teacher, student)`, which creates the projections; and `compute(step)`,
    which returns the scalar loss of a `Step`. Layers and weights of the hierarchy (projections,
    branches, a queue made with `add_weight(trainable=False)`) are trained and checkpointed by the
    Distiller and never shipped with the student; those in `frozen_layers` are checkpointed and
    never trained. Layers that behave differently in training are called with
    `training=step.training`, and state is only assigned if `step.training`.

    Args:
        loss: a `keras_hkd.losses` object, or any `loss(teacher, student, *, mask=None)`.
        name: name of the term, which is logged as `<name>_loss`.
        teacher: index of the teacher that is read, if the Distiller has several; None for the
            weighted sum over all of them.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        TypeError: if the loss is not callable.
        ValueError: if the loss cannot compare what is read here.
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
    """False if a Distiller without a teacher can compute the term."""

    learner_kinds: tuple[str, ...] = ("detector", "classifier")
    """Kinds of models that the hierarchy reads."""

    runs_teacher: bool = False
    """True if the student's features pass through layers of the teacher."""

    needs_same_grid: bool = False
    """True if teacher and student must see the images at the same size."""

    gives: tuple[str, ...] = ("image_size", "training")
    """Names that a loss may declare in its `needs` and `uses`."""

    tensors: tuple[str, ...] = ()
    """Kinds of the compared tensors, in the words of a loss's `compares`; empty if it varies."""

    reads: tuple[str, ...] | None = None
    """Names of the teacher's outputs that are read, such as `("pyramid",)`, which a cache must hold
    beside detections; None if layers of the teacher itself are read, which no cache holds."""

    samples: tuple[str, ...] | None = None
    """Names of losses in `keras_hkd.losses` with which `possible` tries the hierarchy on a pair;
    empty to try it with its default loss, None to leave it out."""

    rank: int | None = None
    """Number of axes of the compared tensors, the batch included; None if it varies."""

    @property
    def frozen_layers(self) -> tuple[keras.layers.Layer, ...]:
        """Layers of this hierarchy that are never trained, such as a teacher's branches."""
        return ()

    def check_loss(self, loss: Any, tensors: Sequence[str] | None = None) -> None:
        """Check that a loss can compare what is read here.

        Args:
            loss: the loss that compares teacher and student.
            tensors: kinds of tensors that it would compare; those of the hierarchy by default.

        Raises:
            ValueError: if it cannot.
        """
        tensors = self.tensors if tensors is None else tensors
        name, where = type(loss).__name__, type(self).__name__
        mend = (
            "Use the loss at another hierarchy (docs/concepts/losses.md says which). "
            f"Received: {name} for {where}"
        )
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
        """Check that the loss can compare logits of as many classes as the student has.

        Args:
            student: a `Learner`.

        Raises:
            ValueError: if it cannot.
        """
        check_channels = getattr(self.loss, "check_channels", None)
        if check_channels is not None:
            check_channels(len(student.class_names))

    def check(self, teacher: Any, student: Learner) -> None:
        """Check that this pair can be compared.

        Args:
            teacher: a `Learner`, what stands for a stored one, or None if none is needed.
            student: a `Learner`.

        Raises:
            ValueError: if it cannot; the message says why.
        """

    def describe_match(self, teacher: Any, student: Learner, same_size: bool = True) -> str:
        """Describe how a pair is compared that has passed `check`.

        Args:
            teacher: a `Learner`.
            student: a `Learner`.
            same_size: whether both see the images at the same size.

        Returns:
            A short text, such as `"direct"`.
        """
        return "direct"

    def attach(self, teacher: Any, student: Learner) -> None:
        """Check the pair and create what is needed to compare it; called once by the Distiller.

        Args:
            teacher: see `check`.
            student: a `Learner`.
        """
        self.check(teacher, student)
        self.built = True

    def compute(self, step: Step) -> Tensor:
        """Compute the loss of a training step.

        Args:
            step: a `Step`.

        Returns:
            A scalar.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement `compute`.")

    def copy(self) -> Self:
        """Return an unattached copy with the same loss."""
        config = self.get_config()
        if "loss" in config:
            config["loss"] = self.loss  # works for functions that cannot be serialised, too
        return type(self).from_config(config)

    def project(self, key: str, features: Tensor) -> Tensor:
        """Project the student's features to the teacher's width, if widths differ.

        Args:
            key: key of the projection; see `add_projection`.
            features: tensor `(..., channels)`.
        """
        layer = self.projections.get(key)
        return features if layer is None else layer(features)

    def add_projection(self, key: str, teacher_channels: int, student_channels: int) -> None:
        """Create the trained layers of one level.

        These are a projection, if the loss needs equal widths and they differ, and the layers of a
        fresh copy of the loss, if it has layers.

        Args:
            key: key of the level.
            teacher_channels: width of the teacher's tensor.
            student_channels: width of the student's tensor.
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
        """Return a dict from each name in `gives` to a function that computes the value."""
        return {"image_size": lambda: step.image_size, "training": lambda: step.training}

    def compare(
        self, key: str, step: Step, teacher: Tensor, student: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Compute the loss of one level, with the further arguments that it declares.

        Args:
            key: key of the level, as in `add_projection`.
            step: the `Step`.
            teacher: the teacher's tensor.
            student: the student's tensor, projected.
            mask: weights on the leading axes, or None.

        Returns:
            A scalar.
        """
        loss = self.level_losses.get(key, self.loss)
        asked = (*getattr(loss, "needs", ()), *getattr(loss, "uses", ()))
        given = self.given(step)
        context = {name: given[name]() for name in asked if name in given}
        if step.compared is not None:
            row = Compared(self.name, key, teacher, student, mask, context, loss)
            step.compared.append(row)
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
    """Refuse a hierarchy that another Distiller has attached.

    Args:
        hierarchy: a `Hierarchy`.

    Raises:
        ValueError: if it has been attached.
    """
    if hierarchy.built:
        raise InvalidValueError(
            f"This {type(hierarchy).__name__} belongs to another Distiller, whose projections it "
            "has. Make a new one for each Distiller. "
            f"Received: '{hierarchy.name}', which is attached"
        )


def common_levels(
    levels: Sequence[str] | None, teacher: Any, student: Learner, hierarchy_name: str
) -> list[str]:
    """Select the pyramid levels to compare.

    Args:
        levels: the levels asked for; None for all that both have.
        teacher: a `Detector`, or what stands for a stored one.
        student: a `Detector`.
        hierarchy_name: name of the hierarchy, for the message.

    Returns:
        A list of names of levels.

    Raises:
        ValueError: if one of the two lacks a level.
    """
    if not teacher.levels:
        raise InvalidValueError(
            f"{hierarchy_name} reads feature maps, and all that is known of the teacher "
            f"'{teacher.name}' is what it detected. Use ClassLogits and Boxes. "
            f"Received: a {type(teacher).__name__} as teacher"
        )
    shared = [level for level in teacher.levels if level in student.levels]
    wanted = shared if levels is None else list(levels)
    missing = [level for level in wanted if level not in shared]
    if missing or not wanted:
        raise InvalidValueError(
            f"{hierarchy_name} cannot read levels {missing or 'in common'}: the teacher has "
            f"{teacher.levels}, the student {student.levels}. Pass levels={tuple(shared)}. "
            f"Received: levels={levels}"
        )
    return wanted


def unique_names(hierarchies: Iterable[Hierarchy], own: Sequence[str] = ()) -> tuple[str, ...]:
    """Name hierarchies, with numbers where one comes twice: `pyramid`, `pyramid_2`.

    Args:
        hierarchies: the terms of a Distiller.
        own: names of the student's own losses, such as `box_loss`, which no term may take.

    Raises:
        ValueError: a term is named like one of them, or `student`.
    """
    taken = {name.removesuffix("_loss") for name in own}
    names: list[str] = []
    for hierarchy in hierarchies:
        name, number = hierarchy.name, 2
        if name in {*taken, "student"}:
            raise InvalidValueError(
                "A term must have another name than the student's own losses, "
                f"{', '.join(sorted(taken))}, and than `student`: they are logged side by side. "
                f"Received: name={name!r}"
            )
        while name in names:
            name, number = f"{hierarchy.name}_{number}", number + 1
        names.append(name)
    return tuple(names)
