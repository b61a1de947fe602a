"""Classifier: a classifier of whole images as teacher or student."""

from collections import namedtuple
from collections.abc import Sequence
from typing import Any, Self, cast

import keras
from keras import ops

from keras_hkd import checks
from keras_hkd.classifiers.network import read_network
from keras_hkd.errors import InvalidValueError
from keras_hkd.learner import Learner
from keras_hkd.replicas import weighted_mean
from keras_hkd.tensors import Tensor, TensorDict

ClassAssignment = namedtuple("ClassAssignment", "classes counted targets")
ClassAssignment.__doc__ = """The target class of each image of a batch.

Attributes:
    classes: `(batch,)` int32, index into `class_names`; -1 where the label does not count.
    counted: `(batch,)` bool, images that have a label.
    targets: `(batch, classes)` float32, one-hot; zeros where the label does not count.
"""

DEFAULT_IMAGE_SIZE = (64, 64)


@keras.saving.register_keras_serializable(package="keras_hkd")
class Classifier(Learner):
    """A classifier of whole images, which can be a teacher or a student.

    `class_loss = mean over labelled images of -log softmax(logits)[class]`; if the model ends in a
    sigmoid, it is the sum over classes of the binary cross entropies instead.

    Args:
        model: a functional or built Sequential model that takes RGB images in [0, 255] (it rescales
            them itself) and ends in a Dense layer with one logit per class; a softmax or sigmoid
            after it is left out. Its layers are used, not copied.
        class_names: names of the classes; `class_0`, `class_1`, ... by default.
        image_size: `(height, width)` in pixels of the images; by default that of the model, or
            64 x 64 if it has none.
        **kwargs: arguments of `keras.Model`.

    Attributes:
        levels: the stages, finest first, such as `("C2", "C3", "C4", "C5")`: strides 4 to 32.
        activation: `"softmax"` or `"sigmoid"`, the function from logits to scores.

    Raises:
        TypeError: if the model is not functional.
        ValueError: if the model does not end in logits, has fewer than two classes, or names or
            size do not fit it.

    Example:

    >>> images = keras.Input((32, 32, 3))
    >>> x = keras.layers.Conv2D(8, 3, strides=4, padding="same")(images)
    >>> x = keras.layers.GlobalAveragePooling2D()(x)
    >>> model = keras.Model(images, keras.layers.Dense(3, activation="softmax")(x))
    >>> classifier = Classifier(model, class_names=("cat", "dog", "person"))
    >>> classifier.levels, classifier.image_size
    (('C2',), (32, 32))
    """

    kind = "classifier"
    loss_names = ("class_loss",)

    def __init__(
        self,
        model: keras.Model,
        *,
        class_names: Sequence[str] | None = None,
        image_size: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        network, self.activation = read_network(model)
        self.network = self.rewritten(network)
        num_logits = self.network.output["logits"].shape[-1]
        self.class_names = _checked_names(class_names, num_logits)
        self.image_size = _checked_size(image_size, self.network.inputs[0].shape[1:3])
        self.levels = tuple(self.network.output["stages"])
        self.built = True

    def stride(self, level: str) -> int:
        """Return the pixels between neighbouring cells of a stage: 4 for `C2`, 8 for `C3`, ..."""
        return 2 ** int(level[1:])

    def channels(self, level: str) -> int:
        """Return the width of the map of a stage."""
        return self.network.output["stages"][level].shape[-1]

    @property
    def embedding_width(self) -> int:
        """Length of the vector that the last Dense layer reads."""
        return self.network.output["embedding"].shape[-1]

    def call(self, images: Tensor, training: bool = False) -> dict[str, Any]:
        """Compute logits, stages and embedding of a batch.

        Args:
            images: `(batch, height, width, 3)` RGB in [0, 255].
            training: whether batch statistics are used.

        Returns:
            dict of `logits (batch, classes)` float32, `stages` (dict level -> `(batch, h, w,
            channels)`) and `embedding (batch, width)`.
        """
        return self.network(images, training=training)

    def compute_output_spec(self, images: Tensor, training: bool = False) -> Any:
        return self.network.compute_output_spec(images)

    def check_labels(self, labels: Any) -> dict[str, Any]:
        """Check labels and convert them to a dict with `classes (batch,)`.

        Args:
            labels: such a dict, or the class indices themselves; -1 for unknown ones.

        Raises:
            ValueError: if they are neither.
        """
        if isinstance(labels, dict):
            classes = labels.get("classes")
        else:
            classes, labels = labels, {}
        shape = tuple(getattr(classes, "shape", ("none",)))
        if len(shape) == 2 and shape[1] == 1:
            classes, shape = ops.squeeze(classes, axis=1), shape[:1]
        if len(shape) != 1 or shape == ("none",):
            received = f"{sorted(labels)}, classes of shape {shape}" if labels else f"shape {shape}"
            raise InvalidValueError(
                "Labels of a classifier must be a dict with 'classes' (batch,), whole numbers that "
                f"index `class_names`, -1 where unknown; or these numbers. Received: {received}"
            )
        return {**labels, "classes": classes}

    def assign(
        self, outputs: TensorDict, labels: Any, image_size: Sequence[int] | None
    ) -> ClassAssignment:
        """Assign a target to each image.

        Args:
            outputs: result of `call`.
            labels: dict of `classes (batch,)`, -1 for labels that do not count.
            image_size: `(height, width)` of the images.

        Returns:
            A `ClassAssignment`.
        """
        classes = ops.cast(labels["classes"], "int32")
        targets = ops.one_hot(classes, self.num_classes, dtype="float32")
        return ClassAssignment(classes, classes >= 0, targets)

    def task_losses(
        self, outputs: TensorDict, assignment: ClassAssignment, image_size: Sequence[int] | None
    ) -> dict[str, Tensor]:
        """Compute `{"class_loss": scalar}`, this replica's share of the mean over the batch."""
        logits, targets = outputs["logits"], assignment.targets
        if self.activation == "sigmoid":
            losses = ops.relu(logits) - logits * targets + ops.softplus(-ops.abs(logits))
        else:
            losses = -targets * ops.log_softmax(logits, axis=-1)
        counted = ops.cast(assignment.counted, "float32")
        return {"class_loss": weighted_mean(ops.sum(losses, axis=-1), counted)}

    def predictions(
        self, outputs: TensorDict, image_size: Sequence[int] | None
    ) -> dict[str, Tensor]:
        """Compute `{"scores": (batch, classes)}` in [0, 1], the result of `predict`."""
        scores = ops.sigmoid if self.activation == "sigmoid" else ops.softmax
        return {"scores": scores(outputs["logits"])}

    def decoded(self, prediction: Any, data: Any) -> Any:
        """Decode raw outputs as every `Learner` does; here images may be of any size."""
        if isinstance(prediction, tuple):
            outputs, state = prediction
            return self.predictions(outputs, None), state
        return self.predictions(prediction, None)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "model": keras.saving.serialize_keras_object(self.model),
            "class_names": self.class_names,
            "image_size": self.image_size,
            **self.rewrites_config(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        config = dict(config)
        return cls(keras.saving.deserialize_keras_object(config.pop("model")), **config)


def _checked_names(class_names: Sequence[str] | None, num_logits: int) -> tuple[str, ...]:
    if num_logits < 2:
        raise InvalidValueError(
            "A classifier needs a logit for each of two or more classes; for a yes-or-no question "
            f"these are two. Received: a model with {num_logits}."
        )
    names = [f"class_{i}" for i in range(num_logits)] if class_names is None else list(class_names)
    if len(names) != num_logits or len(set(names)) != num_logits:
        raise InvalidValueError(
            f"The model has {num_logits} classes, so `class_names` must be {num_logits} different "
            f"names. Received: class_names={class_names}"
        )
    return tuple(str(name) for name in names)


def _checked_size(
    image_size: Sequence[int] | None, model_size: Sequence[int | None]
) -> tuple[int, int]:
    if image_size is None:
        image_size = cast(Sequence[int], DEFAULT_IMAGE_SIZE if None in model_size else model_size)
    size = checks.image_size("image_size", image_size, low=8)
    for side, fixed in zip(size, model_size, strict=True):
        if fixed not in (None, side):
            raise InvalidValueError(
                f"The model takes images of {tuple(model_size)} pixels only. "
                f"Received: image_size={image_size}"
            )
    return size
