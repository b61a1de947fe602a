"""The base of detectors, classifiers and distillers: no loss to compile, images of any size."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from keras_hkd.batch_norm import fuse_batch_norm
from keras_hkd.batch_watch import BatchWatch, WatchBatches
from keras_hkd.box_labels import padded_labels
from keras_hkd.errors import InvalidValueError
from keras_hkd.multi_worker import as_one_process, fit_over_workers
from keras_hkd.tensors import Shape

IMAGES_COUNTED = 32  # of an array that is predicted on JAX


class BaseModel(keras.Model):
    """A Keras model that computes its own loss and works on images of several sizes.

    Keras traces its functions with unknown height and width once they have seen two sizes, but
    anchors are computed from the static size. So functions are kept for each image size. A subclass
    defines `loss_trackers`, the metrics that average the parts of its loss. Batches are checked,
    see `keras_hkd.batch_watch`.

    Args:
        **kwargs: arguments of `keras.Model`.
    """

    train_function: Any
    test_function: Any
    predict_function: Any
    loss_trackers: list[keras.metrics.Metric]
    """Metrics that average the parts of the loss."""

    where_loss_is = "the model has its own"
    """Part of the message to a user who passes `loss` to `compile`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._watch = BatchWatch()
        if not compiles_by_default():
            self.jit_compile = False  # otherwise Keras compiles the `predict` of a loaded model too

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """Metrics of the total loss and its parts; those of inner models are left out."""
        trackers = [] if self._loss_tracker is None else [self._loss_tracker]
        return [*trackers, self._watch.counts, *self.loss_trackers]

    @property
    def metrics_names(self) -> list[str]:
        """Names of what `evaluate` returns, in order."""
        return [metric.name for metric in self.metrics if metric is not self._watch.counts]

    def warn_of_batches(self, told: set[str]) -> None:
        """Warn of what was wrong with batches since the last time; see `BatchWatch.tell`."""
        self._watch.tell(self, told)

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        *args: Any,
        **kw: Any,
    ) -> keras.callbacks.History:
        """As `keras.Model.fit`, for images of any size, one size after another.

        Labels may be ragged. Classes that the model does not have are refused, and a `BatchWarning`
        is given where boxes are not xyxy pixels or pixels do not lie in [0, 255].
        """
        x, y = _padded(x), _padded(y)
        callbacks = _watching(callbacks)
        self.check_callbacks(getattr(callbacks, "callbacks", callbacks))
        with self._function_of(x, "train_function"), fit_over_workers(self):
            return super().fit(x, y, batch_size, epochs, verbose, callbacks, *args, **kw)

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """As `keras.Model.evaluate`, for images of any size; batches are checked as in `fit`."""
        x, y = _padded(x), _padded(y)
        callbacks = _watching(callbacks)
        with self._function_of(x, "test_function"), fit_over_workers(self):
            return super().evaluate(
                x, y, batch_size, verbose, sample_weight, steps, callbacks, return_dict, **kwargs
            )

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """As `keras.Model.predict`, for images of any size."""
        with self._function_of(x, "predict_function"), self._predicting(x) as alone:
            callbacks = callbacks if alone else _watching(callbacks)
            return super().predict(x, batch_size, verbose, steps, callbacks)

    def train_on_batch(self, x: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.train_on_batch`; the batch is checked as in `fit`."""
        with self._function_of(x, "train_function"), self._watched_batch():
            return super().train_on_batch(x, _padded(y), *args, **kwargs)

    def test_on_batch(self, x: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.test_on_batch`; the batch is checked as in `fit`."""
        with self._function_of(x, "test_function"), self._watched_batch():
            return super().test_on_batch(x, _padded(y), *args, **kwargs)

    def predict_on_batch(self, x: Any) -> Any:
        """As `keras.Model.predict_on_batch`, for images of any size."""
        with self._predicting(x) as alone, self._function_of(x, "predict_function"):
            with contextlib.nullcontext() if alone else self._watched_batch():
                return super().predict_on_batch(x)

    def make_train_function(self, force: bool = False) -> None:
        """As `keras.Model.make_train_function`, for batches that differ in size from one another.

        Where a dataset leaves height and width open, a step is traced for each size that comes.
        """
        if self.train_function is not None and not force:
            return
        if keras.backend.backend() != "tensorflow":
            super().make_train_function(force)
            return
        self._build_optimizer()
        super().make_train_function(force)
        self.train_function = _StepOfEachSize(self, self.train_function)

    def _build_optimizer(self) -> None:
        """Make the optimizer's variables, unless they are there or the model is not built.

        Before a step is traced: `tf.function` traces one that makes variables twice, which takes
        most of a start.
        """
        optimizer = getattr(self, "optimizer", None)  # not there before a model is compiled
        if optimizer is None or optimizer.built or not self.built:
            return
        strategy = getattr(self, "distribute_strategy", None)  # JAX has none
        with strategy.scope() if strategy is not None else contextlib.nullcontext():
            self.optimizer.build(self.trainable_variables)

    def load_weights(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Load as `keras.Model.load_weights`, the optimizer of a compiled model with it."""
        self._build_optimizer()  # whose variables are left out, of the file, where it has none
        super().load_weights(filepath, *args, **kwargs)

    def new_train_function(self) -> Any:
        """Make Keras's function of a training step anew, beside the one in use."""
        kept = self.train_function
        try:
            super().make_train_function(force=True)
            return self.train_function
        finally:
            self.train_function = kept

    @contextlib.contextmanager
    def _predicting(self, x: Any) -> Iterator[bool]:
        """Predict in this process alone where several share the model; such are not watched.

        On JAX a step of `predict` has no metrics to count in: of an array, images are counted here.
        """
        on_jax = keras.backend.backend() == "jax"
        with as_one_process(self) as alone:
            if on_jax and not alone and len(getattr(x, "shape", ())) == 4:
                self._watch.count(x[:IMAGES_COUNTED])
            with self._watch.paused(alone or on_jax):
                yield alone

    @contextlib.contextmanager
    def _watched_batch(self) -> Iterator[None]:
        yield
        if keras.backend.backend() == "jax" and not getattr(self, "_jax_state_synced", True):
            self.jax_state_sync()
        self.warn_of_batches(set())

    @contextlib.contextmanager
    def _function_of(self, x: Any, which: str) -> Iterator[None]:
        """Put in place the function that was traced for the size of images, or None to trace."""
        kept = self.__dict__.setdefault("_functions_by_size", {})
        functions = kept.setdefault(which, {})
        if getattr(self, which) is None:  # not traced yet, or compiled anew
            functions.clear()
        size = _size_of(x)
        setattr(self, which, functions.get(size))
        try:
            yield
        finally:
            functions[size] = getattr(self, which)

    def check_callbacks(self, callbacks: Any) -> None:
        """Refuse, when `fit` begins, callbacks that cannot work with this model."""

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile a model that was loaded from a file as it was before it was saved."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self._build_optimizer()

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


class _StepOfEachSize:
    """Keras's function of a training step; of batches of open size one function for each size.

    Keras would trace a step for unknown height and width.

    Args:
        model: a `BaseModel`.
        whole: what Keras made: a function of an iterator over batches.
    """

    def __init__(self, model: BaseModel, whole: Any) -> None:
        self._model, self._whole = model, whole
        self._of_size: dict[Shape, Any] = {}

    def __call__(self, iterator: Any) -> Any:
        if not _size_is_open(iterator):
            return self._whole(iterator)
        logs = None
        for _ in range(self._model.steps_per_execution):
            batch = next(iterator)  # in Python, so that its size is known
            size = _size_of(keras.tree.map_structure(_of_first_replica, batch))
            if size not in self._of_size:
                self._of_size[size] = self._model.new_train_function()
            logs = self._of_size[size]([batch])
        return logs


def _of_first_replica(value: Any) -> Any:
    import tensorflow as tf

    return value.values[0] if isinstance(value, tf.distribute.DistributedValues) else value


def _size_is_open(iterator: Any) -> bool:
    import tensorflow as tf

    if not isinstance(iterator, (tf.data.Iterator, tf.distribute.DistributedIterator)):
        return False
    specs = tf.nest.flatten(iterator.element_spec, expand_composites=True)
    return any(one.shape.rank == 4 and None in one.shape[1:3] for one in specs)


def compiles_by_default() -> bool:
    """Tell whether steps are compiled with XLA by default: yes on JAX, no on TensorFlow.

    Measured on a CPU: XLA under TensorFlow takes minutes to compile a MobileNetV2 detector, whose
    forward pass then runs ten times slower than without.
    """
    return keras.backend.backend() == "jax"


def _size_of(x: Any) -> Shape:
    """Height and width of images or of a dataset of them, None where nothing says."""
    if hasattr(x, "element_spec"):
        x = x.element_spec
    elif isinstance(x, keras.utils.PyDataset):
        x = x[0]
    if isinstance(x, (tuple, list)) and x and not hasattr(x, "shape"):
        x = x[0]
    if isinstance(x, dict):
        x = x.get("images")
    x = getattr(x, "_value_specs", (x,))[0]  # of several replicas of one worker
    return tuple(getattr(x, "shape", None) or ())[1:3]


def _padded(data: Any) -> Any:
    """Pad the ragged entries of labels, or of a `tf.data.Dataset` with labels, with -1."""
    if not hasattr(data, "element_spec"):
        return padded_labels(data)
    ragged = [hasattr(one, "ragged_rank") for one in keras.tree.flatten(data.element_spec)]
    if not any(ragged) or not hasattr(data, "map"):
        return data

    def pad(*parts: Any) -> Any:
        parts = tuple(_padded_deeply(part) for part in parts)
        return parts if len(parts) > 1 else parts[0]

    return data.map(pad)


def _padded_deeply(part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    return {name: _padded_deeply(value) for name, value in padded_labels(part).items()}


def _watching(callbacks: Any) -> Any:
    """Put `WatchBatches` before the callbacks, unless it is there."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        if not any(isinstance(one, WatchBatches) for one in callbacks.callbacks):
            callbacks.append(WatchBatches())
        return callbacks
    if callbacks is None:
        callbacks = []
    return [WatchBatches(), *(callbacks if isinstance(callbacks, (list, tuple)) else [callbacks])]
