"""MeanTeacher: a Distiller whose teacher is the moving average of its student."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_hkd.checks import in_range
from keras_hkd.distillation.distiller import Distiller
from keras_hkd.distillation.learners import as_learner
from keras_hkd.errors import InvalidValueError
from keras_hkd.tensors import Tensor

if TYPE_CHECKING:
    from keras_hkd.learner import Learner


@keras.saving.register_keras_serializable(package="keras_hkd")
class MeanTeacher(Distiller):
    """Trains a student with the moving average of its own weights as teacher (mean teacher, EMA).

    Before every step t = 0, 1, 2, ... the teacher moves towards the student:

        theta_T <- a theta_T + (1 - a) theta_S,    a = min(1 - 1 / (t + 1), momentum)

    It starts as a copy, is the plain mean of all past students at first and an exponential average
    with `momentum` later. The statistics of BatchNorm layers, which are moving averages already,
    are copied, unless a is 1: averaged again they would lag behind the weights, and the teacher
    would be useless for its first hundreds of steps. The teacher gets no gradient and runs in
    inference mode. It is part of the run's state: checkpoints and `save_weights` hold it, and a
    resumed run continues with it. Save `.student`; `.teacher` can be saved as well.

    The update is the paper's; the ramp is a reconstruction, as the released codes differ.

    Args:
        student: a `Detector`, a `Classifier` or a KerasCV detector, trained in place; the teacher
            is a copy of it.
        distillation_losses: see `Distiller`.
        distillation_loss_weights: see `Distiller`. Warm the weights up: at first teacher and
            student hardly differ.
        student_loss_weight: weight of the student's own loss.
        momentum: the largest a, in [0, 1]. 0.999 averages over about 1,000 steps.
        ramp: False for a = `momentum` from the first step; with momentum 1 the teacher then stays
            the initial student.
        name: name of the model.
        **kwargs: arguments of `keras.Model`.

    Raises:
        TypeError: see `Distiller`.
        ValueError: see `Distiller`; also if the momentum is outside [0, 1].

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
        if distillation_loss_weights == "balanced" or kwargs.get("shares") is not None:
            raise InvalidValueError(
                "A MeanTeacher's terms cannot be balanced before the first step: its teacher is "
                "then a copy of the student. Give numbers or schedules. Received: "
                f"{distillation_loss_weights!r}, shares={kwargs.get('shares')}"
            )
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
        return keras.Model.__dir__(self)  # this teacher is saved, unlike that of a Distiller

    @property
    def teacher_hash(self) -> None:
        """None: the teacher changes with every step, so it need not be equal to resume a run."""
        return None

    @property
    def checkpoint_variables(self) -> list[keras.Variable]:
        """The variables in a checkpoint: all, including the teacher's."""
        return self.variables

    def momentum_at(self, step: Tensor) -> Tensor:
        """Compute a, the weight of the teacher in its update.

        Args:
            step: number of finished training steps, a number or scalar tensor.

        Returns:
            A float32 scalar.
        """
        step = ops.cast(step, "float32")
        ramp = 1.0 - 1.0 / (step + 1.0) if self.ramp else ops.ones_like(step)
        return ops.minimum(ramp, self.momentum)

    def update_teacher(self) -> None:
        """Update the teacher by one step; called by `compute_loss` in training."""
        batches = self.batches_per_step
        momentum = self.momentum_at(self.steps_taken // batches)
        if batches > 1:  # between two steps of the optimizer the student stands still
            first = ops.equal(self.steps_taken % batches, 0)
            momentum = ops.where(first, momentum, ops.ones_like(momentum))
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
        """Compute the loss of `Distiller`, after an update of the teacher in training."""
        if training:
            self.update_teacher()
        return super().compute_loss(x, y, y_pred, sample_weight, training, **kwargs)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "momentum": self.momentum, "ramp": self.ramp}
        del config["teacher"]
        return config


def moving_average(old: Tensor, new: Tensor, momentum: Tensor) -> Tensor:
    """Compute `momentum * old + (1 - momentum) * new` without gradient, exact at 0 and 1.

    Args:
        old: the variable of the model.
        new: a variable of the same shape.
        momentum: float32 scalar tensor in [0, 1].

    Returns:
        A tensor of the dtype of `old`; for integers, `new`.

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
    """Copy a model with its weights, without shared memory."""
    copy = type(learner).from_config(learner.get_config())
    for variable, value in zip(copy.weights, learner.weights, strict=True):
        variable.assign(ops.copy(value))  # JAX would share the buffer, which a step then frees
    return copy
