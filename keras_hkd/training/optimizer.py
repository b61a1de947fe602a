"""The optimizer of `train` and `distill`: AdamW, linear warm-up, cosine decay, averaged weights."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_hkd.replicas import num_replicas, sum_over_replicas
from keras_hkd.tensors import Tensor
from keras_hkd.training.settings import TrainingSettings
from keras_hkd.training.warmup_cosine import WarmupCosine


@keras.saving.register_keras_serializable(package="keras_hkd")
class AveragedAdamW(keras.optimizers.AdamW):
    """Keras's AdamW with the four corrections that detectors need.

    - No weight decay on biases and normalisation (variables of rank below 2): decay pulls the
      scales of BatchNorm to 0, and the prior bias of a detection head with it.
    - The moving average warms up. Keras's `use_ema` starts from the initial weights, of which a run
      of 100 steps with `ema_momentum=0.998` still keeps 82 %. Here the momentum at step t is

          min(ema_momentum, t / (t + 9)),

      an average over about the last tenth of the steps until that exceeds `ema_momentum`'s window.
    - With `gradient_accumulation_steps` a schedule of the learning rate and the moving average
      count the optimizer's steps, not the batches between them.
    - `global_clipnorm` bounds the gradient of the global batch. Keras bounds each replica's share
      by itself, so that under tf.distribute the step depends on the number of devices.

    All arguments are those of `keras.optimizers.AdamW`.

    Example:

    >>> AveragedAdamW(1e-3, weight_decay=5e-4, global_clipnorm=10.0, use_ema=True).use_ema
    True
    """

    def build(self, variables: Sequence[Any]) -> None:
        if not self.built:
            undecayed = [variable for variable in variables if len(variable.shape) < 2]
            self.exclude_from_weight_decay(var_list=undecayed)
        super().build(variables)

    def _clip_gradients(self, grads: Sequence[Tensor]) -> list[Tensor]:
        if not self.global_clipnorm or num_replicas() == 1:
            return super()._clip_gradients(grads)
        squares = [ops.sum(ops.square(sum_over_replicas(gradient))) for gradient in grads]
        norm = ops.sqrt(sum(squares))
        factor = self.global_clipnorm / ops.maximum(norm, self.global_clipnorm)
        return [gradient * factor for gradient in grads]

    def _get_current_learning_rate(self) -> Any:
        schedule = self._learning_rate
        if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
            return schedule(self.iterations)  # steps; Keras would count the batches between them
        return super()._get_current_learning_rate()

    def _update_model_variables_moving_average(self, trainable_variables: Sequence[Any]) -> None:
        step = ops.cast(self.iterations, "float32")
        momentum = ops.minimum(self.ema_momentum, step / (step + 9.0))
        taken = 1.0  # whether this batch ends a step
        if self.gradient_accumulation_steps:
            last = (self._iterations + 1) % self.gradient_accumulation_steps == 0
            taken = ops.cast(last, "float32")
        averages = self._model_variables_moving_average
        for variable, average in zip(trainable_variables, averages, strict=True):
            if average is not None:
                share = ops.cast((1.0 - momentum) * taken, variable.dtype)
                average.assign(average + share * (variable - average))

    def finalize_variable_values(self, var_list: Sequence[Any]) -> None:
        # Before the first step the averages are zeros.
        if ops.convert_to_numpy(self.iterations) > 0:
            super().finalize_variable_values(var_list)


@keras.saving.register_keras_serializable(package="keras_hkd")
class ReplicatedLossScaleOptimizer(keras.optimizers.LossScaleOptimizer):
    """Keras's loss scaling for float16, with all replicas agreeing on whether a step overflowed.

    Keras asks only the first replica. Where the gradients of another one overflow, their infinities
    go into the sum over replicas, and every weight is NaN after that step. Arguments are those of
    `keras.optimizers.LossScaleOptimizer`.

    Example:

    >>> type(ReplicatedLossScaleOptimizer(AveragedAdamW(1e-3)).inner_optimizer).__name__
    'AveragedAdamW'
    """

    def check_finite(self, grads: Sequence[Tensor]) -> Tensor:
        overflowed = ops.logical_not(super().check_finite(grads))
        return ops.equal(sum_over_replicas(ops.cast(overflowed, "float32")), 0.0)


def learning_rate_schedule(settings: TrainingSettings, steps_per_epoch: int) -> WarmupCosine:
    """Build the learning-rate schedule that `settings` describe.

    Args:
        settings: for `learning_rate`, `warmup_epochs`, `epochs`, `final_learning_rate_fraction`.
        steps_per_epoch: batches in one epoch.
    """
    steps = steps_per_epoch / settings.gradient_accumulation_steps  # of the optimizer
    total = max(1, round(settings.epochs * steps))
    # A run shorter than its warm-up would never reach the peak: half of it goes to the rise.
    warmup = min(round(settings.warmup_epochs * steps), total // 2)
    return WarmupCosine(
        peak=settings.learning_rate,
        total_steps=total,
        warmup_steps=warmup,
        final_fraction=settings.final_learning_rate_fraction,
    )


def build_optimizer(settings: TrainingSettings, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """Build the optimizer that `settings` describe.

    Args:
        settings: for the learning rate and its schedule, weight decay, clipping, averaging, and
            loss scaling under mixed precision.
        steps_per_epoch: batches in one epoch.

    Example:

    >>> optimizer = build_optimizer(TrainingSettings(epochs=4, warmup_epochs=0), steps_per_epoch=10)
    >>> round(float(optimizer.learning_rate), 6)
    0.001
    """
    averaged = settings.ema_momentum is not None
    optimizer = AveragedAdamW(
        learning_rate=learning_rate_schedule(settings, steps_per_epoch),
        weight_decay=settings.weight_decay,
        global_clipnorm=settings.global_clip_norm,
        use_ema=averaged,
        ema_momentum=settings.ema_momentum if averaged else 0.99,
        gradient_accumulation_steps=(
            None
            if settings.gradient_accumulation_steps == 1
            else settings.gradient_accumulation_steps
        ),
    )
    scaled = settings.mixed_precision and settings.half_precision == "float16"
    return ReplicatedLossScaleOptimizer(optimizer) if scaled else optimizer
