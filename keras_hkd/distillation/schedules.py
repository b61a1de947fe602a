"""How much a distillation term weighs, and when: weights as functions of the training step."""

from __future__ import annotations

import abc
import math
import numbers
from typing import Any, Self

import keras
from keras import ops

from keras_hkd.checks import in_range, whole
from keras_hkd.errors import InvalidTypeError
from keras_hkd.tensors import Tensor


class WeightSchedule(abc.ABC):
    """Base class: a weight for every training step.

    A subclass writes `weight_at(step)` and `get_config`. Constructor arguments are kept as
    attributes of the same name. Schedules nest: `LinearWarmUp(CosineDecay(30.0, steps=9_000),
    steps=1_000)` rises for 1,000 steps, then decays over the next 9,000.
    """

    def __call__(self, step: Tensor) -> Tensor:
        """Give the weight at a step; works on tensors, inside `tf.function` and `jax.jit`.

        Args:
            step: int, or integer or float scalar tensor: training steps done so far. Negative
                steps count as 0.

        Returns:
            A float32 scalar tensor.
        """
        step = ops.maximum(ops.cast(ops.convert_to_tensor(step), "float32"), 0.0)
        return ops.cast(self.weight_at(step), "float32")

    @abc.abstractmethod
    def weight_at(self, step: Tensor) -> Tensor:
        """Give the weight; to be written by the subclass.

        Args:
            step: float32 scalar tensor, at least 0.

        Returns:
            A scalar tensor.
        """

    @abc.abstractmethod
    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments.

        Returns:
            A dict that `from_config` takes.
        """

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build the schedule from what `get_config` gave.

        Args:
            config: dict.

        Returns:
            A schedule of this class.
        """
        return cls(**config)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({arguments})"


@keras.saving.register_keras_serializable(package="keras_hkd")
class Constant(WeightSchedule):
    """The same weight at every step; what a plain number becomes.

    Args:
        value: the weight, at least 0.

    Raises:
        TypeError: `value` is not a number.
        ValueError: `value` is negative or not finite.

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
    """Start low and rise: early, noisy feature gradients do not disturb the student's own task.

    `weight = start + (target - start) * step / steps` during the first `steps` steps, `target`
    being the weight to be reached; then that weight, or the schedule that follows, which counts its
    steps from the end of the warm-up.

    Args:
        target: the weight to be reached, at least 0, or the schedule that follows.
        steps: length of the warm-up in training steps, at least 1. Feature terms are usually
            warmed up over 500 to 1,000.
        start: the weight at step 0, at least 0.

    Raises:
        TypeError: an argument of the wrong type.
        ValueError: a negative weight, or fewer than one step.

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
    """Follow the teacher early and the ground truth late: the weight falls along half a cosine.

    `weight = end + (start - end) * (1 + cos(pi * step / steps)) / 2` for `steps` steps, then `end`.

    Args:
        start: the weight at step 0, at least 0.
        steps: length of the decay in training steps, at least 1.
        end: the weight from then on, at least 0.

    Raises:
        TypeError: an argument of the wrong type.
        ValueError: a negative weight, or fewer than one step.

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
    """Make a schedule of what a user may give as a weight.

    Args:
        identifier: a number, a schedule, or a schedule's serialised dict.

    Returns:
        A `WeightSchedule`.

    Raises:
        TypeError: it is none of these.
        ValueError: a number that is negative or not finite.

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
