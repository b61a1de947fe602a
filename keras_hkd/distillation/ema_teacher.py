"""A teacher that is the student's own moving average: no second network is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_hkd.checks import in_range
from keras_hkd.distillation.distiller import Distiller
from keras_hkd.distillation.learners import as_learner
from keras_hkd.tensors import Tensor

if TYPE_CHECKING:
    from keras_hkd.learner import Learner


@keras.saving.register_keras_serializable(package="keras_hkd")
class MeanTeacher(Distiller):
    """Trains a student under the moving average of its own weights (the EMA or mean teacher).

    Before every step t = 0, 1, 2, ... the teacher moves towards the student:

        theta_T <- a theta_T + (1 - a) theta_S,    a = min(1 - 1 / (t + 1), momentum)

    so that it begins as a copy, is the plain mean of all students so far at first, and forgets
    with `momentum` later. BatchNorm's statistics, which are moving averages already, are taken
    over as they are, unless a is 1: averaged once more they would lag behind the weights, and the
    teacher would see next to nothing for its first hundreds of steps. No gradient reaches the
    teacher; it runs in inference mode. It is part of the run's state: checkpoints and
    `save_weights` hold it, and a resumed run goes on with it. What ships is `.student`;
    `.teacher` can be saved as well.

    The update is the paper's, the ramp a reconstruction: of the released codes each has its own.

    Args:
        student: a `Detector`, a `Classifier` or a KerasCV detector, trained in place; the teacher
            is made as a copy of it.
        distillation_losses: as of `Distiller`.
        distillation_loss_weights: as of `Distiller`. Under a teacher that is hardly older than the
            student there is little to learn: warm the weights up.
        student_loss_weight: weight of the student's own loss.
        momentum: the largest a, in [0, 1]. 0.999 looks back over about 1,000 steps.
        ramp: False for a = `momentum` from the first step on; with 1.0 the teacher then stays what
            the student was at the start.

    Raises:
        TypeError: as `Distiller`.
        ValueError: as `Distiller`, or a momentum outside [0, 1].

    Example:

    >>> from keras_hkd import hierarchies, losses
    >>> from keras_hkd.detectors import build
    >>> distiller = MeanTeacher(
    ...     build("yolo_v8_micro", image_size=(64, 64)),
    ...     hierarchies.ClassLogits(losses.AdaptiveDistillation()),
    ... )
    >>> [round(float(distiller.momentum_at(step)), 4) for step in (0, 1, 9, 10_000)]
    [0.0, 0.5, 0.9, 0.999]

    Reference:
        Tarvainen and Valpola, Mean teachers are better role models, NeurIPS 2017,
        https://arxiv.org/abs/1703.01780; for detectors Liu et al., Unbiased Teacher, ICLR 2021,
        https://arxiv.org/abs/2102.09480.
    """

    def __init__(
        self,
        student: Any,
        distillation_losses: Any,
        distillation_loss_weights: Any = None,
        student_loss_weight: float = 1.0,
        momentum: float = 0.999,
        ramp: bool = True,
        name: str = "mean_teacher",
        **kwargs: Any,
    ) -> None:
        learner = as_learner(student)
        super().__init__(
            _copy(learner),
            learner,
            distillation_losses,
            distillation_loss_weights,
            student_loss_weight,
            name=name,
            **kwargs,
        )
        self.momentum = in_range("momentum", momentum, high=1.0)
        self.ramp = bool(ramp)

    def __dir__(self) -> list[str]:
        return keras.Model.__dir__(self)  # unlike a Distiller's, this teacher is saved along

    @property
    def teacher_hash(self) -> None:
        """None: this teacher changes with every step, so no run is bound to it."""
        return None

    @property
    def checkpoint_variables(self) -> list[keras.Variable]:
        """What a checkpoint holds: everything, the teacher too."""
        return self.variables

    def momentum_at(self, step: Tensor) -> Tensor:
        """The share a that the teacher keeps of itself.

        Args:
            step: number of training steps done, a number or scalar tensor.

        Returns:
            A float32 scalar.
        """
        step = ops.cast(step, "float32")
        ramp = 1.0 - 1.0 / (step + 1.0) if self.ramp else ops.ones_like(step)
        return ops.minimum(ramp, self.momentum)

    def update_teacher(self) -> None:
        """Moves the teacher towards the student by one step; `compute_loss` does so in training."""
        momentum = self.momentum_at(self.steps_taken)
        of_statistics = ops.floor(momentum)  # 1 where nothing moves, else 0
        learned = {id(weight) for weight in self.learner.trainable_weights}
        (teacher,) = self.teachers
        for old, new in zip(teacher.weights, self.learner.weights, strict=True):
            kept = momentum if id(new) in learned else of_statistics
            old.assign(moving_average(old, new, kept))

    def compute_loss(
        self,
        x: Tensor | None = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
        **kwargs: Any,
    ) -> Tensor:
        """The loss of `Distiller`, under the teacher that has just moved."""
        if training:
            self.update_teacher()
        return super().compute_loss(x, y, y_pred, sample_weight, training, **kwargs)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "momentum": self.momentum, "ramp": self.ramp}
        del config["teacher"]
        return config


def moving_average(old: Tensor, new: Tensor, momentum: Tensor) -> Tensor:
    """`momentum * old + (1 - momentum) * new`, without gradient; exact at 0 and 1.

    Args:
        old: a variable.
        new: a variable of the same shape.
        momentum: float32 scalar tensor in [0, 1].

    Returns:
        A tensor in the dtype of `old`; of whole numbers, `new`.

    Example:

    >>> float(moving_average(keras.Variable(1.0), keras.Variable(3.0), ops.array(0.75)))
    1.5
    """
    value = ops.stop_gradient(ops.convert_to_tensor(new))
    if not keras.backend.is_float_dtype(old.dtype):
        return ops.copy(ops.cast(value, old.dtype))
    share = ops.cast(momentum, old.dtype)
    return share * ops.convert_to_tensor(old) + (1.0 - share) * ops.cast(value, old.dtype)


def _copy(learner: Learner) -> Learner:
    """A second model of the same architecture and weights, in memory of its own."""
    copy = type(learner).from_config(learner.get_config())
    for variable, value in zip(copy.weights, learner.weights, strict=True):
        variable.assign(ops.copy(value))  # JAX would share the buffer, and a step frees it twice
    return copy
