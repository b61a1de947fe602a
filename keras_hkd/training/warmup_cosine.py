"""The learning-rate schedule of a run."""

import math
from typing import Any

import keras
from keras import ops

from keras_hkd.errors import InvalidValueError
from keras_hkd.tensors import Tensor


@keras.saving.register_keras_serializable(package="keras_hkd")
class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Linear rise to a peak, then half a cosine down: large steps only once the statistics settle.

    At step t, with w = `warmup_steps`, T = `total_steps` and f = `final_fraction`:

        peak * (t + 1) / (w + 1)                                      for t < w,
        peak * (f + (1 - f) * (1 + cos(pi * (t - w) / (T - w))) / 2)  from w on; peak * f from T.

    Keras's `CosineDecay` gives the same numbers through a conditional, which AdamW's weight decay
    evaluates once per variable; this one has no branches for the graph to keep.

    Args:
        peak: learning rate at the end of the rise.
        total_steps: length of the run in steps.
        warmup_steps: steps of the rise; fewer than `total_steps`.
        final_fraction: share of the peak that is left at the end, in [0, 1].

    Raises:
        ValueError: if `warmup_steps` is negative or not below `total_steps`.

    Example:

    >>> schedule = WarmupCosine(peak=1.0, total_steps=12, warmup_steps=2, final_fraction=0.0)
    >>> [round(float(schedule(step)), 3) for step in (0, 1, 2, 7, 12)]
    [0.333, 0.667, 1.0, 0.5, 0.0]

    Reference:
        Loshchilov and Hutter, 2017, https://arxiv.org/abs/1608.03983 (the cosine).
    """

    def __init__(
        self,
        peak: float,
        total_steps: int,
        warmup_steps: int = 0,
        final_fraction: float = 0.0,
        name: str = "warmup_cosine",
    ) -> None:
        if not 0 <= warmup_steps < total_steps:
            raise InvalidValueError(
                "Expected 0 <= warmup_steps < total_steps. "
                f"Received: warmup_steps={warmup_steps}, total_steps={total_steps}"
            )
        self.peak = peak
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.final_fraction = final_fraction
        self.name = name

    def __call__(self, step: Tensor) -> Tensor:
        step = ops.cast(step, "float32")
        rise = (step + 1.0) / (self.warmup_steps + 1.0)
        done = (step - self.warmup_steps) / (self.total_steps - self.warmup_steps)
        cosine = (1.0 + ops.cos(math.pi * ops.clip(done, 0.0, 1.0))) / 2.0
        fall = self.final_fraction + (1.0 - self.final_fraction) * cosine
        return self.peak * ops.where(step < self.warmup_steps, rise, fall)

    def get_config(self) -> dict[str, Any]:
        return {
            "peak": self.peak,
            "total_steps": self.total_steps,
            "warmup_steps": self.warmup_steps,
            "final_fraction": self.final_fraction,
            "name": self.name,
        }
