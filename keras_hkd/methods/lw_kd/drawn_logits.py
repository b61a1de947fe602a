"""DrawnLogits: distils from a teacher that does not see the images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import keras

from keras_hkd.errors import InvalidTypeError, InvalidValueError
from keras_hkd.hierarchies.hierarchy import Hierarchy
from keras_hkd.losses.logit_distillation import LogitDistillation
from keras_hkd.methods.lw_kd.class_bank import ClassBank
from keras_hkd.tensors import Tensor

if TYPE_CHECKING:
    from keras_hkd.hierarchies.step import Step

__all__ = ["DrawnLogits"]


@keras.saving.register_keras_serializable(package="keras_hkd")
class DrawnLogits(Hierarchy):
    """Compares the student's logits with the teacher's for a random instance of the same class.

    `L = mean_i loss(g(u_i), f(x_i))` over labelled images, u_i a random instance of a `ClassBank`
    of the class of x_i.

    Args:
        bank: a `ClassBank` with the student's number of classes.
        loss: loss between logits, called with `mask (batch,)`; by default
            `LogitDistillation(temperature=4.0)`.
        name: name of the term.

    Raises:
        ValueError: when attached, if the student's number of classes differs.

    Reference:
        Liu et al., https://arxiv.org/abs/2005.09163 (reconstruction).
    """

    default_name = "drawn_logits"
    tensors = ("logits",)
    needs_teacher = False
    learner_kinds = ("classifier",)

    def __init__(self, bank: ClassBank, loss: Any = None, **kwargs: Any) -> None:
        super().__init__(LogitDistillation(temperature=4.0) if loss is None else loss, **kwargs)
        self.bank = bank

    def check(self, teacher: Any, student: Any) -> None:
        check_classes(self.bank, student)

    def compute(self, step: Step) -> Tensor:
        drawn = drawn_in(step, self.bank)
        mask = keras.ops.cast(step.assignment.counted, "float32")
        return self.loss(drawn, step.student_outputs["logits"], mask=mask)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "bank": keras.saving.serialize_keras_object(self.bank)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        config = dict(config)
        for key in ("bank", "loss"):
            config[key] = keras.saving.deserialize_keras_object(config[key])
        return cls(**config)


def drawn_in(step: Any, bank: ClassBank) -> Tensor:
    """Return the logits drawn for the images of a step, the same for all hierarchies."""
    if getattr(step, "drawn_logits", None) is None:
        step.drawn_logits = bank.draw(step.assignment.classes, training=step.training)
    return step.drawn_logits


def check_classes(bank: Any, student: Any) -> None:
    """Check that a bank has the student's number of classes.

    Args:
        bank: a `ClassBank`.
        student: a `Classifier`.

    Raises:
        TypeError: if `bank` is no `ClassBank`.
        ValueError: if the numbers differ.
    """
    if not isinstance(bank, ClassBank):
        raise InvalidTypeError(f"Expected a keras_hkd.hierarchies.ClassBank. Received: {bank!r}")
    if bank.num_classes != student.num_classes:
        raise InvalidValueError(
            "The bank needs as many classes as the student. Received: "
            f"{bank.num_classes} and {student.num_classes}."
        )
