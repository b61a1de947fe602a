"""SelfSupervisedClassifier: a classifier with branches that predict class and rotation."""

from collections.abc import Sequence
from typing import Any, Self

import keras
from keras import ops

from keras_hkd.batch_norm import synchronize_batch_norm
from keras_hkd.classifiers.adaptation import as_classifier
from keras_hkd.errors import InvalidValueError
from keras_hkd.learner import Learner
from keras_hkd.methods.hsakd.branches import STYLES, branch
from keras_hkd.methods.hsakd.rotations import NUM_ROTATIONS, joint_labels, rotate_four, upright
from keras_hkd.replicas import weighted_mean
from keras_hkd.tensors import Tensor, TensorDict

__all__ = ["SelfSupervisedClassifier"]

MODES = ("student", "joint", "frozen")


@keras.saving.register_keras_serializable(package="keras_hkd")
class SelfSupervisedClassifier(Learner):
    """A classifier with a branch at each stage that predicts class and rotation together.

    A forward pass runs on every image at four quarter turns. Each branch predicts one of
    `4 * classes` pairs of class and rotation, the self-supervised augmented task of HSAKD, whose
    predictions hold more knowledge than those of the class.

    `class_loss` is the classifier's own loss, on upright images only. `branch_class_loss` is,
    summed over branches, the mean over images and rotations of
    `-log softmax(logits)[4 * class + turn]`.

    `.deployed` is the plain classifier, without branches.

    Args:
        classifier: a `Classifier`, or a functional model that can be converted to one. Another
            `SelfSupervisedClassifier` is replaced by its classifier, and the branches are new.
        mode: what is trained on labels. `"student"`: the classifier; its branches learn from those
            of a teacher. `"joint"`: classifier and branches, as for peers and jointly trained
            teachers. `"frozen"`: only the branches; the classifier runs in inference mode, and its
            BatchNorm statistics do not change.
        branch_style: `"copied"`, branches as deep as the rest of the network, or `"light"`; see
            `keras_hkd.methods.hsakd.branches.branch`.
        levels: stages that have a branch; all by default.
        **kwargs: arguments of `keras.Model`.

    Attributes:
        branches: dict from the level of a stage to its branch.

    Raises:
        TypeError: if the model cannot be converted to a classifier.
        ValueError: if a mode, style or level is unknown.

    Example:

    >>> from keras_hkd.classifiers import build
    >>> learner = SelfSupervisedClassifier(build("cnn_micro", class_names=("cat", "dog")))
    >>> outputs = learner(ops.zeros((1, 64, 64, 3)))
    >>> tuple(outputs["logits"].shape), tuple(outputs["branch_logits"]["C3"].shape)
    ((1, 2), (4, 8))

    Reference:
        Yang et al., Hierarchical Self-supervised Augmented Knowledge Distillation, IJCAI 2021,
        https://arxiv.org/abs/2107.13715.
    """

    kind = "classifier"

    def __init__(
        self,
        classifier: Any,
        *,
        mode: str = "student",
        branch_style: str = "copied",
        levels: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        _check_option("mode", mode, MODES)
        _check_option("branch_style", branch_style, STYLES)
        classifier = as_classifier(classifier).deployed
        own = () if mode == "frozen" else classifier.loss_names
        self.loss_names = own if mode == "student" else (*own, "branch_class_loss")
        super().__init__(**kwargs)
        self.classifier = classifier
        self.mode = mode
        self.branch_style = branch_style
        self.levels = _checked_levels(levels, classifier)
        num_logits = NUM_ROTATIONS * classifier.num_classes
        self.branches = {
            level: branch(classifier.network, level, num_logits, branch_style)
            for level in self.levels
        }
        if any(getattr(layer, "synchronized", False) for layer in classifier._flatten_layers()):
            synchronize_batch_norm(self)
        self._freeze()
        self.built = True

    @property
    def deployed(self) -> Learner:
        """The plain classifier that was given."""
        return self.classifier

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.classifier.class_names

    @property
    def image_size(self) -> tuple[int, int]:
        """`(height, width)` in pixels."""
        return self.classifier.image_size

    @image_size.setter
    def image_size(self, value: Sequence[int]) -> None:
        self.classifier.image_size = value

    @property
    def trainable(self) -> bool:
        """Whether the model is trained; a frozen classifier never is."""
        return keras.Model.trainable.fget(self)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        keras.Model.trainable.fset(self, value)
        self._freeze()

    def _freeze(self) -> None:
        if getattr(self, "mode", None) == "frozen" and hasattr(self, "classifier"):
            self.classifier.trainable = False

    def call(self, images: Tensor, training: bool = False) -> dict[str, Any]:
        """Compute the outputs of classifier and branches for all four rotations of a batch.

        Args:
            images: `(batch, side, side, 3)` RGB in [0, 255].
            training: whether batch statistics are used; a frozen classifier never uses them.

        Returns:
            dict of the classifier's outputs for the upright images (`logits`, `stages`,
            `embedding`), `rotated_logits (4 * batch, classes)`, and `branch_logits`, a dict from
            level to `(4 * batch, 4 * classes)` float32; rotations of an image are consecutive.
        """
        return self.call_rotated(rotate_four(images), training=training)

    def call_rotated(self, rotated: Tensor, training: bool = False) -> dict[str, Any]:
        """Compute the outputs of `call` for rotated images `(4 * batch, side, side, 3)`."""
        frozen = self.mode == "frozen"
        outputs = self.classifier(rotated, training=training and not frozen)
        if frozen:
            outputs = keras.tree.map_structure(ops.stop_gradient, outputs)
        logits = {
            level: ops.cast(layer(outputs["stages"][level], training=training), "float32")
            for level, layer in self.branches.items()
        }
        return {
            **keras.tree.map_structure(upright, outputs),
            "rotated_logits": outputs["logits"],
            "branch_logits": logits,
        }

    def check_labels(self, labels: Any) -> dict[str, Any]:
        return self.classifier.check_labels(labels)

    def assign(self, outputs: TensorDict, labels: Any, image_size: Sequence[int]) -> Any:
        """Assign targets to the upright images, as the classifier does."""
        return self.classifier.assign(outputs, labels, image_size)

    def task_losses(
        self, outputs: TensorDict, assignment: Any, image_size: Sequence[int]
    ) -> dict[str, Tensor]:
        """Compute the losses of the mode; see the class."""
        losses = {}
        if self.mode != "frozen":
            losses = self.classifier.task_losses(outputs, assignment, image_size)
        if self.mode != "student":
            classes = joint_labels(assignment.classes)
            losses["branch_class_loss"] = sum(
                joint_cross_entropy(logits, classes) for logits in outputs["branch_logits"].values()
            )
        return losses

    def predictions(self, outputs: TensorDict, image_size: Sequence[int]) -> dict[str, Tensor]:
        """Compute `{"scores": (batch, classes)}` of the classifier."""
        return self.classifier.predictions(outputs, image_size)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "classifier": keras.saving.serialize_keras_object(self.classifier),
            "mode": self.mode,
            "branch_style": self.branch_style,
            "levels": self.levels,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        config = dict(config)
        return cls(keras.saving.deserialize_keras_object(config.pop("classifier")), **config)


def joint_cross_entropy(logits: Tensor, classes: Tensor) -> Tensor:
    """Compute the mean of `-log softmax(logits)[class]` over labelled rows.

    Args:
        logits: `(rows, classes)` float32.
        classes: `(rows,)` int32, -1 for rows that do not count.

    Returns:
        This replica's share of the mean, a scalar.

    Example:

    >>> round(float(joint_cross_entropy(ops.zeros((2, 8)), ops.array([3, -1]))), 4)
    2.0794
    """
    targets = ops.one_hot(classes, logits.shape[-1], dtype="float32")
    losses = -ops.sum(targets * ops.log_softmax(logits, axis=-1), axis=-1)
    return weighted_mean(losses, ops.cast(classes >= 0, "float32"))


def _check_option(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise InvalidValueError(f"`{name}` must be one of {known}. Received: {name}={value!r}")


def _checked_levels(levels: Sequence[str] | None, classifier: Any) -> tuple[str, ...]:
    levels = classifier.levels if levels is None else tuple(levels)
    unknown = [level for level in levels if level not in classifier.levels]
    if unknown or not levels:
        raise InvalidValueError(
            f"Classifier '{classifier.name}' has the stages {classifier.levels}. "
            f"Received: levels={levels}"
        )
    return tuple(level for level in classifier.levels if level in levels)
