"""Peers, a pair of students as one learner, and BothWays, a hierarchy in both directions."""

from collections.abc import Sequence
from typing import Any, Self

import keras
from keras import ops

from keras_hkd.distillation.learners import as_learner, is_cache
from keras_hkd.errors import InvalidTypeError, InvalidValueError
from keras_hkd.hierarchies.hierarchy import Hierarchy, check_unused
from keras_hkd.hierarchies.step import Step
from keras_hkd.learner import Learner
from keras_hkd.tensors import Tensor


@keras.saving.register_keras_serializable(package="keras_hkd")
class Peers(Learner):
    """A pair of learners that see the same batches; each has its own loss.

    Outputs and assignments are dicts of `first` and `second`. The losses are those of both, the
    second peer's with the prefix `peer_`. The first peer is the one that is deployed.

    Args:
        first: a `Detector`, a `Classifier` or a KerasCV detector.
        second: one of the same kind and classes, of any size.
        name: name of the model.
        **kwargs: arguments of `keras.Model`.

    Raises:
        TypeError: if a peer is none of these, such as a `TeacherCache`.
        ValueError: if the peers are of two kinds, have different classes, share weights or are
            frozen.
    """

    def __init__(self, first: Any, second: Any, name: str = "peers", **kwargs: Any) -> None:
        for peer in (first, second):
            if is_cache(peer):
                raise InvalidTypeError(
                    "A peer is trained while it teaches, which a cached teacher cannot be: give "
                    f"the model itself. Received: a {type(peer).__name__}."
                )
        first, second = as_learner(first), as_learner(second)
        _check_pair(first, second)
        own = first.loss_names
        self.loss_names = (*own, *(f"peer_{name}" for name in second.loss_names))
        super().__init__(name=name, **kwargs)
        self.first, self.second = first, second
        self.built = True

    @property
    def kind(self) -> str:  # type: ignore[override]
        """The kind of both."""
        return self.first.kind

    @property
    def deployed(self) -> Learner:
        """The first peer, bare."""
        return self.first.deployed

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes of both."""
        return self.first.class_names

    @property
    def image_size(self) -> tuple[int, int]:
        """`(height, width)` in pixels."""
        return self.first.image_size

    @property
    def peers(self) -> dict[str, Learner]:
        """Both peers by name."""
        return {"first": self.first, "second": self.second}

    def call(self, images: Tensor, training: bool = False) -> Any:
        """Compute the outputs of both, by name."""
        return {name: peer(images, training=training) for name, peer in self.peers.items()}

    def compute_output_spec(self, images: Tensor, training: bool = False) -> Any:
        return {
            name: peer.compute_output_spec(images, training=training)
            for name, peer in self.peers.items()
        }

    def check_labels(self, labels: Any) -> dict[str, Any]:
        return self.first.check_labels(labels)

    def check_image_size(self, image_size: Sequence[int]) -> tuple[int, int]:
        """`(height, width)`, a size that both can see."""
        return self.second.check_image_size(self.first.check_image_size(image_size))

    def assign(self, outputs: Any, labels: Any, image_size: Sequence[int]) -> Any:
        return {
            name: peer.assign(outputs[name], labels, image_size)
            for name, peer in self.peers.items()
        }

    def task_losses(
        self, outputs: Any, assignment: Any, image_size: Sequence[int]
    ) -> dict[str, Tensor]:
        losses = [
            loss
            for name, peer in self.peers.items()
            for loss in peer.task_losses(outputs[name], assignment[name], image_size).values()
        ]
        return dict(zip(self.loss_names, losses, strict=True))

    def predictions(self, outputs: Any, image_size: Sequence[int]) -> Any:
        """Compute the predictions of the first peer."""
        return self.first.predictions(outputs["first"], image_size)

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "first": serialize(self.first),
            "second": serialize(self.second),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        config = dict(config)
        for key in ("first", "second"):
            config[key] = keras.saving.deserialize_keras_object(config[key])
        return cls(**config)


@keras.saving.register_keras_serializable(package="keras_hkd")
class BothWays(Hierarchy):
    """Applies a hierarchy in both directions between two `Peers`.

    `L = L(sg(second) -> first) + L(sg(first) -> second)`. No gradient passes through the outputs of
    the teaching peer, so that each half trains one peer only.

    Args:
        hierarchy: the hierarchy for the first peer; a copy with its own projections serves the
            second.
        name: name of the term; the hierarchy's by default.
        **kwargs: arguments of `Hierarchy`.

    Raises:
        ValueError: if the hierarchy runs layers of the teacher, which would be trained here.
    """

    needs_teacher = False

    def __init__(self, hierarchy: Hierarchy, *, name: str | None = None, **kwargs: Any) -> None:
        check_unused(hierarchy)
        if hierarchy.runs_teacher:
            raise InvalidValueError(
                f"{type(hierarchy).__name__} sends the student's features through layers of the "
                "teacher, and these must be frozen: under mutual learning each peer would train "
                "the other's. Compare predictions instead: ClassLogits and Boxes. "
                f"Received: '{hierarchy.name}'"
            )
        super().__init__(hierarchy.loss, name=name or hierarchy.name, **kwargs)
        self.to_first = hierarchy
        self.to_second = hierarchy.copy()
        self.learner_kinds = hierarchy.learner_kinds

    def check_loss(self, loss: Any, tensors: Sequence[str] | None = None) -> None:
        """Do nothing: the inner hierarchy has checked its loss."""

    @property
    def frozen_layers(self) -> tuple[keras.layers.Layer, ...]:
        return (*self.to_first.frozen_layers, *self.to_second.frozen_layers)

    def attach(self, teacher: Any, student: Any) -> None:
        self.to_first.attach(student.second, student.first)
        self.to_second.attach(student.first, student.second)
        for way in ("to_first", "to_second"):
            layers = getattr(self, way).projections
            self.projections.update({f"{way}_{key}": layer for key, layer in layers.items()})
        self.built = True

    def compute(self, step: Step) -> Tensor:
        return sum(self.ways(step))

    def ways(self, step: Step) -> tuple[Tensor, Tensor]:
        """Compute the two halves: the term that trains the first peer, and that for the second."""
        to_first = self.to_first.compute(_one_way(step, "second", "first"))
        return to_first, self.to_second.compute(_one_way(step, "first", "second"))

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "hierarchy": keras.saving.serialize_keras_object(self.to_first),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        config = dict(config)
        config["hierarchy"] = keras.saving.deserialize_keras_object(config["hierarchy"])
        return cls(**config)


def _one_way(step: Step, teaches: str, learns: str) -> Step:
    """Return the step with one peer as teacher and the other as student."""
    peers = step.student.peers
    teaching = keras.tree.map_structure(ops.stop_gradient, step.student_outputs[teaches])
    return Step(
        peers[teaches],
        peers[learns],
        teaching,
        step.student_outputs[learns],
        step.labels,
        step.assignment[learns],
        step.image_size,
        images=step.images,
        training=step.training,
    )


def _check_pair(first: Any, second: Any) -> None:
    if first.kind != second.kind or first.class_names != second.class_names:
        raise InvalidValueError(
            "Peers must be of one kind and have the same classes. Received: a "
            f"{first.kind} of {first.class_names} and a {second.kind} of {second.class_names}."
        )
    for name, peer in (("first", first), ("second", second)):
        if not peer.trainable_variables:
            raise InvalidValueError(
                f"The {name} peer, '{peer.name}', is frozen, so nothing of it would train. Set "
                "`peer.trainable = True`; a model that was a Distiller's teacher has been frozen. "
                "For a teacher that is not trained use keras_hkd.Distiller. "
                f"Received: trainable={peer.trainable}"
            )
    shared = {id(v) for v in first.variables} & {id(v) for v in second.variables}
    if shared:
        raise InvalidValueError(
            f"The peers share {len(shared)} variables, so they could not teach each other. Build "
            f"them separately, with different seeds. Received: '{first.name}' and '{second.name}'"
        )
