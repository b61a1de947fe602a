"""The base class of detectors and classifiers, which a Distiller trains and learns from."""

from __future__ import annotations

import functools
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_hkd.base_model import BaseModel
from keras_hkd.errors import InvalidTypeError, InvalidValueError, MissingFileError
from keras_hkd.messages import did_you_mean
from keras_hkd.preset_folder import is_preset_folder, packed, save_preset
from keras_hkd.replicas import num_replicas
from keras_hkd.saved_learner import (
    in_float32,
    refuse_other_files,
    save_whole,
    weights_of_student,
)
from keras_hkd.tensors import Tensor


class Learner(BaseModel):
    """A model that knows its own loss: the role that a teacher or a student plays.

    A subclass has `image_size`, `class_names` and, as `self.network`, a functional model from
    images to a dict of outputs. It says which labels it takes (`check_labels`), what they ask of
    its outputs (`assign`), what missing that costs (`task_losses`) and what a user gets from
    `predict` (`predictions`).

    Args:
        rewrites: functions from a network to a network, applied in turn, which Keras can serialise:
            what made a compressed learner. Its float model stays behind: it says how the network
            is built, and its weights are neither trained nor saved.
        rewritten_network: what the rewrites make of the network, where that is at hand.
        **kwargs: options of `keras.Model`.
    """

    network: keras.Model
    kind = "learner"
    """`"detector"` or `"classifier"`: what hierarchies that serve one of them go by."""

    learns = True
    """False for a model that can only teach."""

    loss_names: tuple[str, ...] = ()
    """Names of the losses that `task_losses` gives, in order."""

    def __init__(
        self, *, rewrites: Sequence[Any] = (), rewritten_network: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.rewrites = tuple(_deserialized(rewrite) for rewrite in rewrites)
        self._rewritten_network = rewritten_network
        self.loss_trackers = [keras.metrics.Mean(name=name) for name in self.loss_names]

    def __setattr__(self, name: str, value: Any) -> None:
        # Keras tracks layers that are set the usual way; these are not to be trained or saved.
        if name == "_rewritten_network" or (name == "model" and self.rewrites):
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        # Keras loads whatever `dir` shows, and would follow `deployed` from itself to itself.
        hidden = {"deployed", "_rewritten_network", *(("model",) if self.rewrites else ())}
        return [name for name in super().__dir__() if name not in hidden]

    def rewritten(self, network: keras.Model) -> keras.Model:
        """Apply the rewrites to the network of the float model."""
        if self._rewritten_network is not None:
            network, self._rewritten_network = self._rewritten_network, None
            return network
        return functools.reduce(lambda net, rewrite: rewrite(net), self.rewrites, network)

    def rewrites_config(self) -> dict[str, Any]:
        """Return the entry of `get_config` for the rewrites of the network; empty without any."""
        serialize = keras.saving.serialize_keras_object
        return {"rewrites": [serialize(one) for one in self.rewrites]} if self.rewrites else {}

    takes_networks = False
    """Whether `over(network)` makes a model of the same class from any network with its outputs."""

    # What a kind of learner provides.

    def check_labels(self, labels: dict[str, Tensor]) -> Any:
        """Check labels; returns them as `assign` takes them."""
        raise NotImplementedError(f"{type(self).__name__} must implement `check_labels`.")

    def assign(
        self, outputs: Mapping[str, Any], labels: dict[str, Tensor], image_size: Sequence[int]
    ) -> Any:
        """Compute the targets of the outputs from the labels, without gradient."""
        raise NotImplementedError(f"{type(self).__name__} must implement `assign`.")

    def task_losses(
        self, outputs: Mapping[str, Any], assignment: Any, image_size: Sequence[int]
    ) -> dict[str, Tensor]:
        """Compute the model's own losses, `{name: scalar}` in the order of `loss_names`."""
        raise NotImplementedError(f"{type(self).__name__} must implement `task_losses`.")

    def predictions(self, outputs: Mapping[str, Any], image_size: Sequence[int]) -> Any:
        """Convert the outputs of a batch to what `predict` returns."""
        raise NotImplementedError(f"{type(self).__name__} must implement `predictions`.")

    def check_image_size(self, image_size: Any) -> tuple[int, int]:
        """Check that images of a size can be seen; returns `(height, width)` in pixels."""
        height, width = (int(side) for side in image_size)
        return height, width

    # What is common.

    @property
    def deployed(self) -> Learner:
        """The bare model that ships: itself, unless a subclass trains parts that do not."""
        return self

    @property
    def where_loss_is(self) -> str:  # type: ignore[override]
        """What a user who gives a `loss` is told."""
        return f"a {self.kind} has its own"

    @property
    def num_classes(self) -> int:
        """Number of classes reported."""
        return len(self.class_names)

    def save_to_preset(self, folder: str | os.PathLike) -> None:
        """Write a preset, which `keras_hkd.from_preset` loads.

        The folder holds the configuration, the weights rounded to float16 and checksums of both;
        how the model was compiled is left out.

        Args:
            folder: path of a new or empty folder, or of a preset, which is replaced.

        Raises:
            FileExistsError: the folder holds something else.
            ValueError: a weight is not finite.
        """
        save_preset(in_float32(self), folder)

    def save(
        self, filepath: Any, overwrite: bool = True, include_optimizer: bool = True, **kwargs: Any
    ) -> None:
        """Save as `keras.Model.save`, whole or not at all, and always in float32."""
        save_whole(self, filepath, overwrite, include_optimizer, **kwargs)

    def export(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Refuse Keras's exporters, which take no nested outputs.

        Raises:
            ValueError: always, with what to use.
        """
        ways = "`classifier.model.export(...)`, the functional model of its logits"
        if self.kind == "detector":
            ways = (
                "keras_hkd.export_tflite(detector, 'x.tflite'), keras_hkd.export_onnx(detector, "
                "'x.onnx') or keras_hkd.export_saved_model(detector, 'folder'), with nms=False for "
                "the raw outputs"
            )
        raise InvalidValueError(
            f"A {self.kind} of keras_hkd has feature maps among its outputs, which Keras's "
            f"exporters and TensorFlow's converter do not take: use {ways}. "
            f"Received: filepath={filepath!r}"
        )

    def save_spec(self, **kwargs: Any) -> None:
        """Refuse what `tf.lite.TFLiteConverter.from_keras_model` asks for, as `export` does."""
        self.export(None)

    def load_weights(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Load as `keras.Model.load_weights`; of a Distiller's weights the student's are taken."""
        with weights_of_student(filepath) as path:
            super().load_weights(path, *args, **kwargs)

    def rescaled(self, images: Tensor) -> Tensor:
        """Convert RGB in [0, 255] to what the network takes."""
        return images

    def with_classes(self, class_names: Sequence[str]) -> Learner:
        """Make the same model for other classes, if its family can renew the head.

        Args:
            class_names: names of the classes to tell apart.

        Returns:
            Itself if these are its classes, else a model of its own with new predictors for the
            classes that it did not know; everything else keeps its weights.

        Raises:
            TypeError: the family cannot.
        """
        if tuple(class_names) == self.class_names:
            return self
        raise InvalidTypeError(
            f"A {type(self).__name__} keeps the classes that it was built with, "
            f"{self.class_names}. Received: class_names={tuple(class_names)}; build a new one for "
            "them, or give the float model its classes before quantising or pruning it."
        )

    def tap(self, layer_name: str) -> None:
        """Add the output of a layer of `self.network` to what `call` returns, under `taps`.

        Raises:
            ValueError: the network has no such layer; the nearest names are shown.
        """
        layers = {layer.name: layer for layer in self.network.layers}
        if layer_name not in layers:
            hint = did_you_mean(layer_name, layers, most=3, cutoff=0.4)
            raise InvalidValueError(
                f"{self.kind.capitalize()} '{self.name}' has no layer {layer_name!r}.{hint} "
                f"See `[layer.name for layer in {self.kind}.network.layers]`."
            )
        outputs = dict(self.network.output)
        taps = {**outputs.get("taps", {}), layer_name: layers[layer_name].output}
        self.network = keras.Model(
            self.network.inputs[0], {**outputs, "taps": taps}, name="network"
        )

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool | None = True,
        **kwargs: Any,
    ) -> Tensor:
        """Compute the model's own loss, scaled so that replicas add up to the whole batch's."""
        image_size = static_image_size(x)
        labels = self.check_labels(y)
        self._watch.count(x, y, self.num_classes)
        assignment = self.assign(y_pred, labels, image_size)
        losses = self.task_losses(y_pred, assignment, image_size)
        for tracker, name in zip(self.loss_trackers, losses, strict=True):
            tracker.update_state(losses[name])
        return sum([*losses.values(), *self.losses]) / num_replicas()

    def train_step(self, *args: Any) -> Any:
        """Run a training step on a batch of images and labels."""
        return super().train_step(*checked_batch(self, args))

    def test_step(self, *args: Any) -> Any:
        """Run a step of `evaluate` on a batch of images and labels."""
        return super().test_step(*checked_batch(self, args))

    def predict_step(self, *args: Any) -> Any:
        """Return what `predict` returns for a batch."""
        args = checked_images(self, args)
        self._watch.count(images_of(args[-1]))
        return self.decoded(super().predict_step(*args), args[-1])

    def decoded(self, prediction: Any, data: Any) -> Any:
        """Convert the raw outputs in the result of Keras's `predict_step` to predictions.

        Args:
            prediction: raw outputs, or on JAX a pair of them and the state.
            data: images, or a tuple that begins with them.
        """
        image_size = static_image_size(images_of(data))
        if isinstance(prediction, tuple):
            outputs, state = prediction
            return self.predictions(outputs, image_size), state
        return self.predictions(prediction, image_size)


def static_image_size(images: Tensor) -> tuple[int, int]:
    """Return `(height, width)` of a batch of images, which must be known when a step is traced.

    Raises:
        ValueError: not such a batch.
    """
    shape = tuple(getattr(images, "shape", ()))
    if len(shape) != 4 or shape[1] is None or shape[2] is None or shape[3] not in (3, None):
        raise InvalidValueError(
            "Expected images of shape (batch, height, width, 3), RGB pixels in [0, 255], with "
            "height and width known: batch images of one size. `keras_hkd.data` letterboxes them, "
            "and `keras_hkd.inference.predict_images(model, photos)` takes photographs of any "
            f"size. Received: images.shape={shape}"
        )
    return int(shape[1]), int(shape[2])


def images_of(data: Any) -> Any:
    """Return the images of what Keras hands to a step: images, or a tuple that begins with them."""
    return data[0] if isinstance(data, (list, tuple)) else data


def checked_images(model: Any, args: Any) -> tuple[Any, ...]:
    """Check the arguments of a step of Keras, whose last is a batch with images; return them.

    Args:
        model: a `Learner`.
        args: arguments of the step.

    Raises:
        ValueError: images of another shape, or of a size that the model cannot see.
    """
    *state, data = args
    if isinstance(data, dict) and "images" in data:
        data = (data["images"], data["bounding_boxes"]) if "bounding_boxes" in data else data
        data = data["images"] if isinstance(data, dict) else data
    size = static_image_size(images_of(data))
    try:
        model.check_image_size(size)
    except ValueError as error:
        raise InvalidValueError(
            f"{error} `keras_hkd.inference.predict_images(model, photos)` letterboxes photographs "
            "of any size."
        ) from None
    return (*state, data)


def checked_batch(model: Any, args: Any) -> tuple[Any, ...]:
    """Check the arguments of a step of Keras, whose last is a batch of images and labels.

    A dict of `images` and `bounding_boxes`, as KerasCV's layers give it, is such a pair too.

    Args:
        model: a `Learner`.
        args: arguments of the step.

    Raises:
        ValueError: another batch.
    """
    *state, data = args
    if isinstance(data, dict) and {"images", "bounding_boxes"} <= set(data):
        data = (data["images"], data["bounding_boxes"])
    check_batch(data)
    return checked_images(model, (*state, data))


def check_batch(data: Any) -> None:
    """Refuse a batch that is not `(images, labels)`, as training and `evaluate` need.

    Args:
        data: what Keras hands to `train_step`.

    Raises:
        ValueError: another batch.
    """
    parts = len(data) if isinstance(data, (list, tuple)) else 1
    if parts == 3 and data[2] is None:
        parts = 2
    if parts != 2 or data[1] is None:
        received = f"{parts} of them" if isinstance(data, (list, tuple)) else type(data).__name__
        raise InvalidValueError(
            "Training and evaluation take batches of two parts, (images, labels), and no sample "
            "weights: labels that do not count are marked -1. Give `fit(images, labels)`, or a "
            f"dataset of such pairs. Received: {received}"
        )


def read_model(path: str | os.PathLike, kind: str) -> Any:
    """Load the Keras model of a `.keras` file or of a preset's folder, not compiled.

    Args:
        path: the file or folder.
        kind: what is expected in it, for the messages.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is damaged or was altered, or is none of Keras's.
    """
    path = pathlib.Path(path)
    if is_preset_folder(path):
        with packed(path) as file:
            return _read_file(file, path, kind)
    if not path.is_file():
        raise MissingFileError(f"No {kind} at '{path}': expected a .keras file.")
    refuse_other_files(path, kind)
    return _read_file(path, path, kind)


def _read_file(file: Any, path: str | os.PathLike, kind: str) -> Any:
    """Load the model of `file`, which messages call `path`."""
    try:
        model = keras.saving.load_model(file, compile=False)
        return in_float32(model) if isinstance(model, Learner) else model
    except (ValueError, KeyError, OSError, TypeError) as error:
        raise InvalidValueError(
            f"'{path}' could not be read as a Keras model; is it a .keras file written by "
            f"`{kind}.save`? {type(error).__name__}: {str(error)[:300]}"
        ) from error


def _deserialized(rewrite: Any) -> Any:
    if isinstance(rewrite, dict):
        return keras.saving.deserialize_keras_object(rewrite)
    return rewrite
