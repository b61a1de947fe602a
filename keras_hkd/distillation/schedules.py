"""Weight schedules: weights of distillation terms as functions of the training step."""

from __future__ import annotations

import abc
import math
import numbers
from typing import Any, Self

import keras
from keras import ops

from keras_hkd.checks import in_range, whole
from keras_hkd.errors import InvalidTypeError, InvalidValueError
from keras_hkd.tensors import Tensor


class WeightSchedule(abc.ABC):
    """Base class: computes a weight for every training step.

    Subclasses implement `weight_at(step)` and `get_config`. Constructor arguments are kept as
    attributes of the same name. Schedules nest: `LinearWarmUp(CosineDecay(30.0, steps=9_000),
    steps=1_000)` rises for 1,000 steps, then decays over the next 9,000.
    """

    def __call__(self, step: Tensor) -> Tensor:
        """Compute the weight at a step; work inside `tf.function` and `jax.jit`.

        Args:
            step: number of finished training steps, an int or a scalar tensor. Negative steps
                count as 0.

        Returns:
            A float32 scalar tensor.
        """
        step = ops.maximum(ops.cast(ops.convert_to_tensor(step), "float32"), 0.0)
        return ops.cast(self.weight_at(step), "float32")

    @abc.abstractmethod
    def weight_at(self, step: Tensor) -> Tensor:
        """Compute the weight; implemented by subclasses.

        Args:
            step: float32 scalar tensor, at least 0.

        Returns:
            A scalar tensor.
        """

    @abc.abstractmethod
    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, a dict that `from_config` takes."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build a schedule from what `get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({arguments})"


@keras.saving.register_keras_serializable(package="keras_hkd")
class Constant(WeightSchedule):
    """A constant weight; plain numbers become one.

    Args:
        value: the weight, at least 0.

    Raises:
        TypeError: if `value` is not a number.
        ValueError: if `value` is negative or not finite.

    Example:

    >>> float(Constant(30.0)(1_000))
    30.0
    """

    def __init__(self, value: float = 1.0) -> None:
        self.value = in_range("value", value)

    def weight_at(self, step: Tensor) -> Tensor:
        return ops.zeros_like(step) + self.value

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value}


@keras.saving.register_keras_serializable(package="keras_hkd")
class LinearWarmUp(WeightSchedule):
    """A weight that rises linearly, so that early, noisy gradients do not disturb the student.

    `weight = start + (target - start) * step / steps` during the first `steps` steps; then
    `target`, or, if that is a schedule, its weight with steps counted from the end of the warm-up.

    Args:
        target: the final weight, at least 0, or the schedule that follows.
        steps: length of the warm-up in training steps, at least 1. Feature terms are usually
            warmed up over 500 to 1,000.
        start: the weight at step 0, at least 0.

    Raises:
        TypeError: if an argument has the wrong type.
        ValueError: if a weight is negative, or there is less than one step.

    Example:

    >>> schedule = LinearWarmUp(30.0, steps=1_000)
    >>> [float(schedule(step)) for step in (0, 500, 1_000, 9_000)]
    [0.0, 15.0, 30.0, 30.0]
    """

    def __init__(
        self, target: float | WeightSchedule = 1.0, *, steps: int, start: float = 0.0
    ) -> None:
        self.target = get(target)
        self.steps = whole("steps", steps, low=1)
        self.start = in_range("start", start)

    def weight_at(self, step: Tensor) -> Tensor:
        risen = ops.minimum(step / self.steps, 1.0)
        return self.start * (1.0 - risen) + self.target(step - self.steps) * risen

    def get_config(self) -> dict[str, Any]:
        target = keras.saving.serialize_keras_object(self.target)
        return {"target": target, "steps": self.steps, "start": self.start}


@keras.saving.register_keras_serializable(package="keras_hkd")
class CosineDecay(WeightSchedule):
    """A weight that falls along half a cosine: from the teacher early to the labels late.

    `weight = end + (start - end) * (1 + cos(pi * step / steps)) / 2` for `steps` steps, then `end`.

    Args:
        start: the weight at step 0, at least 0.
        steps: length of the decay in training steps, at least 1.
        end: the final weight, at least 0.

    Raises:
        TypeError: if an argument has the wrong type.
        ValueError: if a weight is negative, or there is less than one step.

    Example:

    >>> schedule = CosineDecay(30.0, steps=1_000)
    >>> [round(float(schedule(step)), 4) for step in (0, 500, 1_000, 9_000)]
    [30.0, 15.0, 0.0, 0.0]

    Reference:
        Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017,
        https://arxiv.org/abs/1608.03983
    """

    def __init__(self, start: float = 1.0, *, steps: int, end: float = 0.0) -> None:
        self.start = in_range("start", start)
        self.steps = whole("steps", steps, low=1)
        self.end = in_range("end", end)

    def weight_at(self, step: Tensor) -> Tensor:
        passed = ops.minimum(step / self.steps, 1.0)
        left = (1.0 + ops.cos(math.pi * passed)) / 2.0
        return self.end * (1.0 - left) + self.start * left

    def get_config(self) -> dict[str, Any]:
        return {"start": self.start, "steps": self.steps, "end": self.end}


def get(identifier: Any) -> WeightSchedule:
    """Convert a weight to a schedule.

    Args:
        identifier: a number, a schedule, or a schedule's serialised dict.

    Returns:
        A `WeightSchedule`.

    Raises:
        TypeError: if it is none of these.
        ValueError: if the number is negative or not finite.

    Example:

    >>> get(0.5)
    Constant(value=0.5)
    """
    if isinstance(identifier, dict):
        identifier = keras.saving.deserialize_keras_object(identifier)
    if isinstance(identifier, WeightSchedule):
        return identifier
    if isinstance(identifier, numbers.Real) and not isinstance(identifier, bool):
        return Constant(float(identifier))
    raise InvalidTypeError(
        "A distillation weight must be a number or a keras_hkd schedule (Constant, LinearWarmUp, "
        f"CosineDecay). Received: {identifier!r} ({type(identifier).__name__})."
    )


def for_losses(weights: Any, num_losses: int) -> list[WeightSchedule]:
    """Convert the weights of several losses to schedules.

    Args:
        weights: a number or schedule, a list with one for each loss, or None for 1 each.
        num_losses: how many losses there are.

    Returns:
        A list of `num_losses` schedules.

    Raises:
        ValueError: if there are more or fewer weights than losses.

    Example:

    >>> for_losses(None, 2)
    [Constant(value=1.0), Constant(value=1.0)]
    """
    if weights is None:
        weights = [1.0] * num_losses
    if not isinstance(weights, (list, tuple)):
        weights = [weights]
    if len(weights) != num_losses:
        raise InvalidValueError(
            "`distillation_loss_weights` needs one weight for each of `distillation_losses`. "
            f"Received: {len(weights)} weights for {num_losses} losses."
        )
    return [get(weight) for weight in weights]
