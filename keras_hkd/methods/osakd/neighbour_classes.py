"""NeighbourClasses: soft labels of images from their nearest neighbours in the logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_hkd.checks import whole
from keras_hkd.hierarchies.hierarchy import Hierarchy
from keras_hkd.losses.soft_label_divergence import SoftLabelDivergence
from keras_hkd.methods.osakd.nearest_neighbours import neighbour_labels, others_than
from keras_hkd.replicas import gather_over_replicas
from keras_hkd.tensors import Tensor

if TYPE_CHECKING:
    from keras_hkd.hierarchies.step import Step

__all__ = ["NeighbourClasses"]

MOST_NEIGHBOURS = 8


@keras.saving.register_keras_serializable(package="keras_hkd")
class NeighbourClasses(Hierarchy):
    """Trains a classifier on soft labels from nearest neighbours in its logits, without a teacher.

    `L = mean_i loss(s_i, z_i)` over labelled images, `s_i = (k_1 / k, ..., k_C / k)` with k_c of
    the k nearest references of class c. References are the other images of the batch, and images of
    earlier batches in a queue, with the logits they had. Images are not their own neighbours,
    images without a label are no references, and no gradient passes through s. Under
    `tf.distribute` the batch is that of all replicas.

    The queue is checkpointed, so that a resumed run continues with it. It changes in training only
    and is not part of the student.

    Args:
        loss: loss between soft labels `(batch, classes)` and logits, called with
            `mask (batch,)`; Kullback-Leibler divergence by default.
        num_neighbours: k; by default the number of references, in the batch and the queue, divided
            by C, at least 1 and at most 8: without a queue min(8, B / C).
        queue_size: number of images in the queue. By default max(20 C, 1024), which is only used if
            the batch has fewer than four images per class (B < 4 C), too few for neighbourhoods. 0
            for no queue; any other number is used for all batches.
        name: name of the term.

    Raises:
        ValueError: if `num_neighbours` is below 1 or `queue_size` below 0.

    Example:

    >>> NeighbourClasses(num_neighbours=4).name
    'neighbours'

    Reference:
        Tzelepi and Tefas, https://arxiv.org/abs/2108.11798.
    """

    default_name = "neighbours"
    samples = ()
    tensors = ("probabilities",)
    needs_teacher = False
    learner_kinds = ("classifier",)

    def __init__(
        self,
        loss: Any = None,
        *,
        num_neighbours: int | None = None,
        queue_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(SoftLabelDivergence() if loss is None else loss, **kwargs)
        if num_neighbours is not None:
            num_neighbours = whole("num_neighbours", num_neighbours, low=1)
        if queue_size is not None:
            queue_size = whole("queue_size", queue_size)
        self.num_neighbours, self.queue_size = num_neighbours, queue_size

    def attach(self, teacher: Any, student: Any) -> None:
        self.num_classes = student.num_classes
        size = self.queue_size
        if size is None:
            size = max(20 * self.num_classes, 1024)
        if size:
            self.queue_logits = self._state("queue_logits", (size, self.num_classes), "float32", 0)
            self.queue_classes = self._state("queue_classes", (size,), "int32", -1)
        self.built = True

    def _state(self, name: str, shape: tuple[int, ...], dtype: str, value: int) -> keras.Variable:
        return self.add_weight(
            shape=shape,
            initializer=keras.initializers.Constant(value),
            dtype=dtype,
            trainable=False,
            name=name,
            aggregation="only_first_replica",
        )

    def compute(self, step: Step) -> Tensor:
        own = ops.stop_gradient(ops.cast(step.student_outputs["logits"], "float32"))
        labels, found = self.soft_labels(own, step.assignment.classes, training=step.training)
        mask = ops.cast(found & step.assignment.counted, "float32")
        return self.loss(labels, step.student_outputs["logits"], mask=mask)

    def soft_labels(
        self, logits: Tensor, classes: Tensor, training: bool = False
    ) -> tuple[Tensor, ...]:
        """Compute the soft labels of a batch.

        Args:
            logits: float32 `(batch, classes)`.
            classes: int32 `(batch,)`, -1 for labels that do not count.
            training: whether the batch is added to the queue.

        Returns:
            `(batch, classes)`, and `(batch,)` bool: images that have a neighbour.
        """
        batch, batch_classes = gather_over_replicas(logits), gather_over_replicas(classes)
        references, known = batch, batch_classes
        queued = self._queue_takes_part(batch)
        if queued is not False:
            references = ops.concatenate([batch, self.queue_logits])
            waiting = ops.where(queued, ops.convert_to_tensor(self.queue_classes), -1)
            known = ops.concatenate([batch_classes, waiting])
        others = others_than(logits, references)
        k = self._num_neighbours(batch, known)
        found = neighbour_labels(
            logits,
            references,
            known,
            others & (known >= 0)[None],
            self.num_classes,
            k,
            most=self.num_neighbours or MOST_NEIGHBOURS,
        )
        if training and queued is not False:
            self._remember(batch, batch_classes)
        return tuple(ops.stop_gradient(value) for value in found)

    def _queue_takes_part(self, batch: Tensor) -> Tensor:
        """Return whether the queue is used, a scalar tensor if the batch size is not known yet."""
        if self.queue_size is not None:
            return self.queue_size > 0
        return ops.shape(batch)[0] < 4 * self.num_classes

    def _num_neighbours(self, batch: Tensor, known: Tensor) -> Tensor:
        if self.num_neighbours is not None:
            return self.num_neighbours
        waiting = ops.cast(known[ops.shape(batch)[0] :] >= 0, "int32")
        references = ops.shape(batch)[0] + ops.sum(waiting)
        return ops.clip(references // self.num_classes, 1, MOST_NEIGHBOURS)

    def _remember(self, batch: Tensor, classes: Tensor) -> None:
        """Add a batch to the queue, first in, first out, newest first, which settles ties."""
        for queue, newest in ((self.queue_logits, batch), (self.queue_classes, classes)):
            values = ops.concatenate([newest, ops.convert_to_tensor(queue)])[: queue.shape[0]]
            queue.assign(ops.reshape(values, queue.shape))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_neighbours": self.num_neighbours,
            "queue_size": self.queue_size,
        }
