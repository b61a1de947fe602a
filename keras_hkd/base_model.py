"""What all our Keras models share: a loss of their own, and images of any size."""

import contextlib

import keras

from keras_hkd.batch_norm import fuse_batch_norm
from keras_hkd.errors import InvalidValueError


class BaseModel(keras.Model):
    """A Keras model that is compiled without a loss and predicts at one image size after another.

    TensorFlow's function of Keras forgets height and width once it has seen two sizes, and anchors
    follow from them; so each size has a function of its own. A subclass has `loss_trackers`, the
    means of the parts of its loss.
    """

    where_loss_is = "the model has its own"
    """What a user who gives a `loss` is told."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        if not compiles_by_default():
            self.jit_compile = False  # Keras would compile even the `predict` of a loaded model

    @property
    def metrics(self):
        """The total loss and its parts; what models inside would count is left out."""
        trackers = [] if self._loss_tracker is None else [self._loss_tracker]
        return [*trackers, *self.loss_trackers]

    def predict(self, x, *args, **kwargs):
        """As `keras.Model.predict`, for images of any size."""
        with self._function_of(x):
            return super().predict(x, *args, **kwargs)

    def predict_on_batch(self, x):
        """As `keras.Model.predict_on_batch`, for images of any size."""
        with self._function_of(x):
            return super().predict_on_batch(x)

    @contextlib.contextmanager
    def _function_of(self, x):
        functions = self.__dict__.setdefault("_functions_by_size", {})
        if self.predict_function is None:  # not traced yet, or compiled anew
            functions.clear()
        size = _size_of(x)
        self.predict_function = functions.get(size)
        try:
            yield
        finally:
            functions[size] = self.predict_function

    def compile(self, optimizer="adamw", jit_compile=None, **kwargs):
        """Configures training; the loss is the model's own, so none is taken.

        Args:
            optimizer: Keras optimizer, its name or config.
            jit_compile: compile the step with XLA; None for where it pays by default, which is on
                JAX and not on TensorFlow.
            **kwargs: of `keras.Model.compile`, except `loss` and metrics.

        Raises:
            ValueError: a `loss` or metrics are given.
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


def compiles_by_default():
    """Whether steps are compiled with XLA unless asked otherwise: yes on JAX, no on TensorFlow.

    Measured on a CPU: XLA under TensorFlow takes minutes to compile a MobileNetV2 detector, whose
    forward pass then runs ten times slower than without.
    """
    return keras.backend.backend() == "jax"


def _size_of(x):
    """Height and width of images or of a dataset of them, None where nothing says."""
    if hasattr(x, "element_spec"):
        x = keras.tree.flatten(x.element_spec)[0]
    return tuple(getattr(x, "shape", ()) or ())[1:3]
