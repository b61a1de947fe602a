"""The base of detectors, classifiers and distillers: no loss to compile, images of any size."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from keras_hkd.batch_norm import fuse_batch_norm
from keras_hkd.errors import InvalidValueError
from keras_hkd.tensors import Shape


class BaseModel(keras.Model):
    """A Keras model that computes its own loss and predicts on images of several sizes.

    Keras traces its predict function with unknown height and width once it has seen two sizes, but
    anchors are computed from the static size. So a function is kept for each image size. A subclass
    defines `loss_trackers`, the metrics that average the parts of its loss.

    Args:
        **kwargs: arguments of `keras.Model`.
    """

    predict_function: Any
    loss_trackers: list[keras.metrics.Metric]
    """Metrics that average the parts of the loss."""

    where_loss_is = "the model has its own"
    """Part of the message to a user who passes `loss` to `compile`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not compiles_by_default():
            self.jit_compile = False  # otherwise Keras compiles the `predict` of a loaded model too

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """Metrics of the total loss and its parts; those of inner models are left out."""
        trackers = [] if self._loss_tracker is None else [self._loss_tracker]
        return [*trackers, *self.loss_trackers]

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Predict as `keras.Model.predict` does, for images of any size."""
        with self._function_of(x):
            return super().predict(x, *args, **kwargs)

    def predict_on_batch(self, x: Any) -> Any:
        """Predict as `keras.Model.predict_on_batch` does, for images of any size."""
        with self._function_of(x):
            return super().predict_on_batch(x)

    @contextlib.contextmanager
    def _function_of(self, x: Any) -> Iterator[None]:
        functions = self.__dict__.setdefault("_functions_by_size", {})
        if self.predict_function is None:  # not traced yet, or compiled anew
            functions.clear()
        size = _size_of(x)
        self.predict_function = functions.get(size)
        try:
            yield
        finally:
            functions[size] = self.predict_function

    def compile(
        self, optimizer: Any = "adamw", jit_compile: bool | None = None, **kwargs: Any
    ) -> None:
        """Configure training. The model computes its own loss, so none is given.

        Args:
            optimizer: Keras optimizer, its name or its config.
            jit_compile: whether to compile the step with XLA. By default yes on JAX and no on
                TensorFlow.
            **kwargs: other arguments of `keras.Model.compile`, except `loss` and metrics.

        Raises:
            ValueError: `loss`, `metrics` or `weighted_metrics` is given.
        """
        for name in ("metrics", "weighted_metrics"):
            if kwargs.get(name) is not None:
                raise InvalidValueError(
                    f"{type(self).__name__}.compile takes no `{name}`: Keras would feed them raw "
                    "outputs. Measure with the callbacks of keras_hkd.evaluation, DetectionMetrics "
                    f"and ClassificationMetrics. Received: {name}={kwargs[name]!r}"
                )
        if kwargs.get("loss") is not None:
            raise InvalidValueError(
                f"{type(self).__name__}.compile takes no `loss`: {self.where_loss_is}. "
                f"Received: loss={kwargs['loss']!r}"
            )
        if jit_compile is None:
            jit_compile = compiles_by_default()
        fuse_batch_norm(self)
        super().compile(optimizer=optimizer, jit_compile=jit_compile, **kwargs)


def compiles_by_default() -> bool:
    """Tell whether steps are compiled with XLA by default: yes on JAX, no on TensorFlow.

    Measured on a CPU: XLA under TensorFlow takes minutes to compile a MobileNetV2 detector, whose
    forward pass then runs ten times slower than without.
    """
    return keras.backend.backend() == "jax"


def _size_of(x: Any) -> Shape:
    """Return height and width of images or of a dataset of images, None where unknown."""
    if hasattr(x, "element_spec"):
        x = keras.tree.flatten(x.element_spec)[0]
    return tuple(getattr(x, "shape", ()) or ())[1:3]
