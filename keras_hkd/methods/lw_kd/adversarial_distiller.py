"""AdversarialDistiller: a Distiller that trains a discriminator against its student."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from keras_hkd.checks import positive, require_tensorflow
from keras_hkd.distillation.distiller import Distiller
from keras_hkd.errors import InvalidValueError
from keras_hkd.methods.lw_kd.adversarial import Adversarial
from keras_hkd.replicas import num_replicas
from keras_hkd.tensors import Tensor

if TYPE_CHECKING:
    from keras_hkd.hierarchies.hierarchy import Hierarchy

__all__ = ["AdversarialDistiller"]


@keras.saving.register_keras_serializable(package="keras_hkd")
class AdversarialDistiller(Distiller):
    """Trains a student and, after each of its steps, the discriminator of an `Adversarial` term.

    Two optimizers take turns on one forward pass of the student: first the student's, against the
    current discriminator, then the discriminator's own Adam, on the same outputs. Neither changes
    the other's weights. The discriminator's loss is logged as `discriminator_loss`. Discriminator
    and optimizer are checkpointed and not part of the student.

    The two steps are written for TensorFlow. On JAX use a `Distiller` with the other hierarchies.

    Args:
        student: a classifier, trained in place.
        distillation_losses: hierarchies, one of them an `Adversarial`.
        distillation_loss_weights: see `Distiller`.
        student_loss_weight: weight of the student's own loss.
        discriminator_learning_rate: learning rate of the discriminator's Adam.
        name: name of the model.
        **kwargs: arguments of `keras.Model`.

    Raises:
        TypeError: see `Distiller`.
        ValueError: see `Distiller`; also if the backend is not TensorFlow, or there is not exactly
            one `Adversarial`.

    Example:

    >>> import numpy as np
    >>> from keras_hkd import hierarchies
    >>> from keras_hkd.classifiers import build
    >>> bank = hierarchies.ClassBank(np.eye(2)[:, None] * 3.0)
    >>> distiller = AdversarialDistiller(
    ...     build("cnn_micro", class_names=("cat", "dog")), hierarchies.Adversarial(bank), 0.1
    ... )
    >>> distiller.term_names
    ('adversarial',)
    """

    def __init__(
        self,
        student: Any,
        distillation_losses: Any,
        distillation_loss_weights: Any = None,
        student_loss_weight: float = 1.0,
        discriminator_learning_rate: float = 1e-4,
        name: str = "adversarial_distiller",
        **kwargs: Any,
    ) -> None:
        require_tensorflow("AdversarialDistiller (not so lw_kd with beta=0)")
        super().__init__(
            None,
            student,
            distillation_losses,
            distillation_loss_weights,
            student_loss_weight,
            name=name,
            **kwargs,
        )
        self.adversarial = _adversarial_of(self.distillation_losses)
        self.discriminator_learning_rate = positive(
            "discriminator_learning_rate", discriminator_learning_rate
        )
        self.discriminator_optimizer = keras.optimizers.Adam(
            self.discriminator_learning_rate, name="discriminator_adam"
        )
        self.discriminator_optimizer.build(self.adversarial.discriminator.weights)
        self.discriminator_tracker = keras.metrics.Mean(name="discriminator_loss")

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The total loss, its terms, and the discriminator's loss."""
        own = getattr(self, "discriminator_tracker", None)
        return super().metrics if own is None else [*super().metrics, own]

    @property
    def checkpoint_variables(self) -> list[keras.Variable]:
        """The variables in a checkpoint: all, and the state of the second optimizer."""
        return [*self.variables, *self.discriminator_optimizer.variables]

    def train_step(self, *args: Any) -> Any:
        """Train the student on a batch, then the discriminator on the same outputs."""
        super().train_step(*args)
        real, fake, counted = self.adversarial.seen.batch
        del self.adversarial.seen.batch
        self.discriminator_step(real, fake, counted)
        return self.get_metrics_result()

    def discriminator_step(self, real: Tensor, fake: Tensor, counted: Tensor | None = None) -> None:
        """Train the discriminator for one step; the student does not change.

        Args:
            real: the teacher's logits `(batch, classes)`.
            fake: the student's logits `(batch, classes)`.
            counted: weights `(batch,)`, 0 for images without a label.
        """
        weights = self.adversarial.discriminator.weights
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([weight.value for weight in weights])
            loss = self.adversarial.discriminator_loss(real, fake, counted)
            share = loss / num_replicas()
        self.discriminator_tracker.update_state(loss)
        gradients = tape.gradient(share, [weight.value for weight in weights])
        self.discriminator_optimizer.apply_gradients(zip(gradients, weights, strict=True))

    def get_config(self) -> dict[str, Any]:
        config = {
            **super().get_config(),
            "discriminator_learning_rate": self.discriminator_learning_rate,
        }
        del config["teacher"]
        return config


def _adversarial_of(hierarchies: Sequence[Hierarchy]) -> Adversarial:
    found = [hierarchy for hierarchy in hierarchies if isinstance(hierarchy, Adversarial)]
    if len(found) != 1:
        raise InvalidValueError(
            "AdversarialDistiller needs one `Adversarial` among its hierarchies. "
            f"Received: {[type(hierarchy).__name__ for hierarchy in hierarchies]}"
        )
    return found[0]
