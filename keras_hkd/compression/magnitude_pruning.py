"""Unstructured pruning: the smallest weights become zero while the model trains, and stay zero."""

import warnings
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_hkd.errors import InvalidTypeError

KERNELS = ("kernel", "pointwise_kernel")


class MagnitudePruning(keras.callbacks.Callback):
    """Keras callback: sets the smallest weights of every kernel to zero, more and more of them.

    At a step of the schedule, of each kernel the `sparsity * size` weights of least magnitude
    become zero; after every step those stay zero, also in the moving average of the weights that
    training may end with. What is zero is read from the weights, and the step from the optimizer,
    so that a run goes on from a checkpoint as if it had never stopped. It works in a `Distiller`,
    where the student alone is pruned, and on a quantised model. Depthwise kernels are few and
    sensitive: they are left alone.

    Args:
        schedule: a schedule of tfmot: `PolynomialDecay` or `ConstantSparsity` of
            `keras_hkd.compression`, or any function from a step to (whether to prune, sparsity).

    Raises:
        TypeError: the schedule cannot be called.

    Warns:
        UserWarning: training ended before the schedule pruned anything, as it does where there are
            fewer steps than the `frequency` of tfmot's schedules, 100 if not given.

    Example:

    >>> from keras_hkd.compression import ConstantSparsity
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    >>> model.compile("sgd", "mse")
    >>> pruning = MagnitudePruning(ConstantSparsity(0.5, begin_step=0, frequency=1))
    >>> _ = model.fit(np.ones((4, 4)), np.ones((4, 4)), verbose=0, callbacks=[pruning])
    >>> kernel_sparsity(model)
    0.5

    Reference:
        Zhu and Gupta, https://arxiv.org/abs/1710.01878.
    """

    def __init__(self, schedule: Any) -> None:
        super().__init__()
        if not callable(schedule):
            raise InvalidTypeError(
                "`schedule` must be PolynomialDecay or ConstantSparsity of keras_hkd.compression, "
                "or a function from a step to (whether to prune, sparsity). "
                f"Received: {schedule!r}"
            )
        self.schedule = schedule

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._kernels = prunable_kernels(self.model)
        self._masks: list[Any] = [None] * len(self._kernels)
        self._step = int(ops.convert_to_numpy(self.model.optimizer.iterations))
        if self._step > getattr(self.schedule, "begin_step", 0):  # resumed: what is zero stays
            self._masks = [ops.cast(kernel != 0, kernel.dtype) for kernel in self._kernels]

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        step = int(ops.convert_to_numpy(self.model.optimizer.iterations))
        for passed in range(self._step + 1, step + 1):
            due, sparsity = self.schedule(passed)
            if bool(due) and float(sparsity) > 0:
                self._masks = [smallest_mask(kernel, float(sparsity)) for kernel in self._kernels]
        self._step = step
        self._apply()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            logs["sparsity"] = kernel_sparsity(self.model)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._apply()  # the moving averages have taken the weights' place
        if self._masks and all(mask is None for mask in self._masks):
            warnings.warn(
                f"MagnitudePruning pruned nothing: its schedule asks for no sparsity in the "
                f"{self._step} steps of this training. Give it a smaller `frequency` (tfmot's "
                "default is 100 steps) or `begin_step`, or train longer.",
                stacklevel=2,
            )

    def _apply(self) -> None:
        averages = _moving_averages(self.model.optimizer)
        for kernel, mask in zip(self._kernels, self._masks, strict=True):
            if mask is None:
                continue
            kernel.assign(kernel * mask)
            average = averages.get(id(kernel))
            if average is not None:
                average.assign(average * mask)


def smallest_mask(kernel: Any, sparsity: float) -> np.ndarray:
    """Return a mask with zeros where a kernel's smallest weights are, and ones elsewhere.

    Args:
        kernel: a variable or array.
        sparsity: share of zeros, in [0, 1).

    Example:

    >>> smallest_mask(np.array([[0.1, -2.0], [0.3, 0.2]], "float32"), 0.5).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    values = ops.convert_to_numpy(kernel)
    order = np.argsort(np.abs(values), axis=None, kind="stable")
    mask = np.ones(values.size, values.dtype)
    mask[order[: round(sparsity * values.size)]] = 0
    return mask.reshape(values.shape)


def prunable_kernels(model: keras.Model) -> list[Any]:
    """List the trainable kernels of convolutions and dense layers, except depthwise ones.

    Args:
        model: a Keras model; of a Distiller the learner's.
    """
    kernels = {}
    for layer in getattr(model, "learner", model)._flatten_layers():
        if "depthwise" in type(layer).__name__.lower():
            continue
        for name in KERNELS:
            kernel = getattr(layer, name, None)
            if isinstance(kernel, keras.Variable) and kernel.trainable:
                kernels[id(kernel)] = kernel
    return list(kernels.values())


def kernel_sparsity(model: keras.Model) -> float:
    """Compute the share of zeros in the kernels that `MagnitudePruning` prunes.

    Args:
        model: a Keras model; of a Distiller the learner's.
    """
    values = [ops.convert_to_numpy(kernel) for kernel in prunable_kernels(model)]
    return float(sum((one == 0).sum() for one in values) / max(1, sum(one.size for one in values)))


def _moving_averages(optimizer: Any) -> dict[int, Any]:
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # under float16 loss scaling
    if not optimizer.use_ema:
        return {}
    pairs = zip(
        optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True
    )
    return {id(weight): average for weight, average in pairs}
