"""Adversarial: rewards student outputs that a discriminator takes for the teacher's."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Self

import keras
from keras import ops

from keras_hkd.checks import in_range, positive
from keras_hkd.hierarchies.hierarchy import Hierarchy
from keras_hkd.methods.lw_kd.drawn_logits import check_classes, drawn_in
from keras_hkd.replicas import weighted_mean
from keras_hkd.tensors import Tensor

if TYPE_CHECKING:
    from keras_hkd.hierarchies.step import Step
    from keras_hkd.methods.lw_kd.class_bank import ClassBank

__all__ = ["Adversarial"]


@keras.saving.register_keras_serializable(package="keras_hkd")
class Adversarial(Hierarchy):
    """Computes the adversarial loss of a student against a discriminator D.

    `L_adv = -E[log D(p)]`, the generator's loss in its non-saturating form. The discriminator's
    loss, `L_D = -E[log D(q)] - E[log(1 - D(sg(p)))]`, is `discriminator_loss`; a
    `keras_hkd.distillation.AdversarialDistiller` trains D with it. D is an MLP over class
    probabilities, C - 64 - 1; it is not part of the student and not trained by its optimizer.

    Args:
        bank: a `ClassBank`, from which the teacher's logits are drawn.
        temperature: number that divides both logits before the softmax.
        real_label: target of D for the teacher's outputs; below 1 it is one-sided label smoothing,
            `-[a log D(q) + (1 - a) log(1 - D(q))]`.
        width: width of D's hidden layer.
        seed: seed of D's initial weights.
        name: name of the term.

    Raises:
        ValueError: if an argument is out of its range; when attached, if the number of classes of
            bank and student differs.

    Reference:
        Liu et al., https://arxiv.org/abs/2005.09163 (reconstruction); Goodfellow et al.,
        https://arxiv.org/abs/1406.2661.
    """

    default_name = "adversarial"
    needs_teacher = False
    learner_kinds = ("classifier",)

    def __init__(
        self,
        bank: ClassBank,
        *,
        temperature: float = 1.0,
        real_label: float = 0.9,
        width: int = 64,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(ops.softplus, **kwargs)
        self.bank = bank
        self.temperature = positive("temperature", temperature)
        self.real_label = in_range("real_label", real_label, low=0.5, high=1.0)
        self.width, self.seed = int(width), int(seed)
        self.discriminator: Any = None
        # Replicas run in separate threads.
        self.seen = threading.local()

    @property
    def frozen_layers(self) -> tuple[keras.layers.Layer, ...]:
        """The discriminator, which the optimizer of the Distiller does not train."""
        return () if self.discriminator is None else (self.discriminator,)

    def check(self, teacher: Any, student: Any) -> None:
        check_classes(self.bank, student)

    def attach(self, teacher: Any, student: Any) -> None:
        self.check(teacher, student)
        first, last = (
            {"kernel_initializer": keras.initializers.GlorotUniform(seed), "dtype": "float32"}
            for seed in (2 * self.seed, 2 * self.seed + 1)
        )
        self.discriminator = keras.Sequential(
            [
                keras.Input((student.num_classes,)),
                keras.layers.Dense(self.width, "leaky_relu", name="hidden", **first),
                keras.layers.Dense(1, name="real", **last),
            ],
            name="discriminator",
        )
        self.built = True

    def compute(self, step: Step) -> Tensor:
        logits = step.student_outputs["logits"]
        counted = ops.cast(step.assignment.counted, "float32")
        if step.training:
            # For the step of D, which follows on the same outputs.
            self.seen.batch = (drawn_in(step, self.bank), ops.stop_gradient(logits), counted)
        return weighted_mean(ops.softplus(-self.judge(logits)), counted)  # -log sigmoid(x)

    def judge(self, logits: Tensor) -> Tensor:
        """Compute D's logits `(batch,)` of class logits `(batch, classes)`."""
        probabilities = ops.softmax(ops.cast(logits, "float32") / self.temperature)
        return self.discriminator(probabilities)[:, 0]

    def discriminator_loss(
        self, real: Tensor, fake: Tensor, counted: Tensor | None = None
    ) -> Tensor:
        """Compute the discriminator's loss `L_D`.

        Args:
            real: the teacher's logits `(batch, classes)`.
            fake: the student's logits `(batch, classes)`.
            counted: weights `(batch,)` of the rows; None for ones.

        Returns:
            A float32 scalar, this replica's share.
        """
        real, fake = self.judge(ops.stop_gradient(real)), self.judge(ops.stop_gradient(fake))
        taken = self.real_label * ops.softplus(-real) + (1 - self.real_label) * ops.softplus(real)
        return weighted_mean(taken + ops.softplus(fake), counted)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "bank": keras.saving.serialize_keras_object(self.bank),
            "temperature": self.temperature,
            "real_label": self.real_label,
            "width": self.width,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        config = dict(config)
        config["bank"] = keras.saving.deserialize_keras_object(config["bank"])
        return cls(**config)
