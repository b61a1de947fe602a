"""KerasLoss: distillation losses of Keras as hierarchies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import keras

from keras_hkd.errors import InvalidTypeError, InvalidValueError
from keras_hkd.hierarchies.alignment import check_same_anchors
from keras_hkd.hierarchies.hierarchy import Hierarchy
from keras_hkd.replicas import num_replicas
from keras_hkd.tensors import Tensor, TensorDict

if TYPE_CHECKING:
    from keras_hkd.hierarchies.step import Step
    from keras_hkd.learner import Learner

__all__ = ["KerasLoss"]


@keras.saving.register_keras_serializable(package="keras_hkd")
class KerasLoss(Hierarchy):
    """Wraps a `keras.distillation.DistillationLoss`.

    A `FeatureDistillation` with layer names reads these layers in the forward pass of the step;
    every other loss compares the class logits, for detectors those of all anchors. Note that
    Keras's `LogitsDistillation` applies its loss to logits as they are, without a softmax.

    Args:
        loss: a `keras.distillation.DistillationLoss`.
        name: name of the term.
        **kwargs: arguments of `Hierarchy`.

    Raises:
        TypeError: if the loss is none of Keras's, or has loss objects beside loss functions.
    """

    default_name = "keras_loss"

    def __init__(self, loss: Any, *, name: str | None = None, **kwargs: Any) -> None:
        if not isinstance(loss, keras.distillation.DistillationLoss):
            raise InvalidTypeError(
                f"KerasLoss expects a keras.distillation.DistillationLoss. Received: {loss!r}"
            )
        objects = [
            isinstance(one, keras.losses.Loss)
            for one in keras.tree.flatten(getattr(loss, "loss", None))
        ]
        if any(objects) and not all(objects):
            raise InvalidTypeError(
                f"{type(loss).__name__} must have `keras.losses.Loss` objects or functions, not "
                "both: on several devices the objects alone divide by their number. Received: "
                f"{loss.loss!r}"
            )
        super().__init__(loss.compute_loss, name=name, **kwargs)
        self.keras_loss = loss
        self._divides = any(objects)

    @property
    def reads(self) -> tuple[str, ...] | None:  # type: ignore[override]
        """`("class_logits",)`, or None if a layer of the teacher itself is read."""
        of_layer = getattr(self.keras_loss, "teacher_layer_name", None)
        return ("class_logits",) if of_layer is None else None

    def check(self, teacher: Any, student: Learner) -> None:
        read = [getattr(self.keras_loss, f"{r}_layer_name", None) for r in ("teacher", "student")]
        if None in read and getattr(student, "kind", "detector") == "detector":
            name = f"KerasLoss({type(self.keras_loss).__name__})"
            check_same_anchors(teacher, student, name)

    def attach(self, teacher: Any, student: Learner) -> None:
        self.check(teacher, student)
        for role, detector in (("teacher", teacher), ("student", student)):
            layer_name = getattr(self.keras_loss, f"{role}_layer_name", None)
            if layer_name is not None:
                detector.tap(layer_name)
        self.built = True

    def compute(self, step: Step) -> Tensor:
        teacher = self._read(step.teacher_outputs, "teacher")
        student = self._read(step.student_outputs, "student")
        if tuple(teacher.shape[1:]) != tuple(student.shape[1:]):
            raise InvalidValueError(
                f"{type(self.keras_loss).__name__} needs tensors of one shape. Received: teacher "
                f"{tuple(teacher.shape)}, student {tuple(student.shape)}. The hierarchies of "
                "keras_hkd project the student to the teacher's width."
            )
        value = self.keras_loss.compute_loss(keras.ops.stop_gradient(teacher), student)
        # A `keras.losses.Loss` has divided by the number of replicas, as the Distiller will do.
        return value * num_replicas() if self._divides else value

    def _read(self, outputs: TensorDict, role: str) -> Tensor:
        layer_name = getattr(self.keras_loss, f"{role}_layer_name", None)
        if layer_name is not None:
            return outputs["taps"][layer_name]
        return outputs["logits"] if "logits" in outputs else outputs["class_logits"]

    def copy(self) -> Self:
        return type(self).from_config({**self.get_config(), "loss": self.keras_loss})

    def get_config(self) -> dict[str, Any]:
        loss = keras.saving.serialize_keras_object(self.keras_loss)
        one = {} if self.teacher is None else {"teacher": self.teacher}
        return {"name": self.name, "loss": loss, **one}


def as_hierarchies(losses: Any) -> list[Hierarchy]:
    """Convert `distillation_losses` to a list of hierarchies.

    Args:
        losses: hierarchies, or `keras.distillation.DistillationLoss` objects; one or a list.

    Returns:
        A list of hierarchies.

    Raises:
        TypeError: if one is neither.
    """
    if not isinstance(losses, (list, tuple)):
        losses = [losses]
    hierarchies = []
    for loss in losses:
        if isinstance(loss, keras.distillation.DistillationLoss):
            loss = KerasLoss(loss)
        if not isinstance(loss, Hierarchy):
            raise InvalidTypeError(
                "`distillation_losses` must hold hierarchies, such as "
                "keras_hkd.hierarchies.Pyramid(keras_hkd.losses.FeatureImitation()), or "
                f"keras.distillation.DistillationLoss objects. Received: {loss!r}"
            )
        hierarchies.append(loss)
    return hierarchies
