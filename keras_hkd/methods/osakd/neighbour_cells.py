"""NeighbourCells: soft foreground labels from similar cells of a detector's class tower."""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from keras_hkd.checks import whole
from keras_hkd.errors import InvalidValueError
from keras_hkd.hierarchies.hierarchy import Hierarchy
from keras_hkd.losses.soft_label_divergence import SoftLabelDivergence
from keras_hkd.methods.osakd.nearest_neighbours import neighbour_labels, others_than
from keras_hkd.methods.osakd.neighbour_classes import MOST_NEIGHBOURS
from keras_hkd.replicas import gather_over_replicas
from keras_hkd.tensors import Tensor

if TYPE_CHECKING:
    from keras_hkd.hierarchies.step import Step

__all__ = ["NeighbourCells"]

Cells = namedtuple("Cells", "vectors logits positive counted")
Cells.__doc__ = """The cells of a batch that are compared with each other.

Attributes:
    vectors: `(batch, cells, width)`, the input of the class predictor.
    logits: `(batch, cells)`, the class logit of each cell.
    positive: `(batch, cells)` bool, cells that are assigned to a person.
    counted: `(batch, cells)` bool, False for padding of images with fewer cells.
"""


@keras.saving.register_keras_serializable(package="keras_hkd")
class NeighbourCells(Hierarchy):
    """Trains a detector on soft foreground labels from nearest neighbours, without a teacher.

    `L = mean_i loss(s_i, z_i)`, `s_i = k_fg / k`, the share of positive cells among the k nearest
    of the selected cells of the batch. For one class it is a local probability of a person: a label
    that is only smoothed near clutter. Selected are, in each image, the positive cells and as many
    hard negatives: those of highest class logit that are neither positive nor ignored. z is the
    cell's highest logit over its anchors (over its positive ones for a positive cell).

    Reconstruction: the paper is about classifiers only.

    Args:
        loss: loss between soft labels `(batch, cells, 1)` and logits, called with
            `mask (batch, cells)`; Kullback-Leibler divergence of Bernoulli distributions by
            default.
        num_neighbours: k; fewer if a batch has fewer selected cells.
        max_positives: largest number of positive cells of an image that are selected, highest
            logits first.
        name: name of the term.

    Raises:
        ValueError: if an argument is below 1; when attached, if the detector has several classes,
            or the last map of its class head cannot be read.

    Example:

    >>> NeighbourCells().num_neighbours
    8

    Reference:
        Tzelepi and Tefas, https://arxiv.org/abs/2108.11798 (for classifiers).
    """

    default_name = "neighbours"
    samples = ()
    tensors = ("probabilities",)
    needs_teacher = False
    learner_kinds = ("detector",)

    def __init__(
        self,
        loss: Any = None,
        *,
        num_neighbours: int = MOST_NEIGHBOURS,
        max_positives: int = 32,
        **kwargs: Any,
    ) -> None:
        loss = SoftLabelDivergence(activation="sigmoid") if loss is None else loss
        super().__init__(loss, **kwargs)
        self.num_neighbours = whole("num_neighbours", num_neighbours, low=1)
        self.max_positives = whole("max_positives", max_positives, low=1)

    def check(self, teacher: Any, student: Any) -> None:
        if len(student.class_names) != 1:
            raise InvalidValueError(
                "NeighbourCells tells one class from background. Received: a detector of the "
                f"classes {student.class_names}."
            )
        if set(student.tower_channels) != set(student.levels):
            raise InvalidValueError(
                "NeighbourCells cannot read the student's class head: it has no `conv_layers` and "
                "`prediction_layer`. Give it those attributes. "
                f"Received: a {type(student).__name__}"
            )

    def compute(self, step: Step) -> Tensor:
        cells = _chosen(_all_cells(step), self.max_positives)
        labels, found = self.soft_labels(cells)
        mask = ops.cast(cells.counted & found, "float32")
        return self.loss(labels[..., None], cells.logits[..., None], mask=mask)

    def soft_labels(self, cells: Cells) -> tuple[Tensor, Tensor]:
        """Compute `k_fg / k` of `Cells`, `(batch, cells)`, and whether a cell has neighbours."""
        width = cells.vectors.shape[-1]
        vectors = ops.reshape(ops.stop_gradient(cells.vectors), (-1, width))
        # The neighbours are those of the whole batch, on whichever device they are.
        references = gather_over_replicas(vectors)
        counted, classes = (
            gather_over_replicas(ops.reshape(ops.cast(one, "int32"), (-1,)))
            for one in (cells.counted, cells.positive)
        )
        usable = others_than(vectors, references) & (counted > 0)[None]
        labels, found = neighbour_labels(
            vectors, references, classes, usable, 2, self.num_neighbours
        )
        shape = (-1, cells.positive.shape[1])
        return ops.stop_gradient(ops.reshape(labels[:, 1], shape)), ops.reshape(found, shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_neighbours": self.num_neighbours,
            "max_positives": self.max_positives,
        }


def _all_cells(step: Step) -> Cells:
    """Return the cells of all levels, and whether they may be selected."""
    assignment, per_cell = step.assignment, step.student.anchors_per_cell

    def by_cell(values: Tensor) -> Tensor:
        return ops.reshape(values, (-1, values.shape[1] // per_cell, per_cell))

    positive, ignored = by_cell(assignment.positive), by_cell(assignment.ignored)
    any_positive = ops.any(positive, axis=-1)
    read = ops.where(any_positive[..., None], positive, ops.logical_not(ignored))
    logits = by_cell(step.student_outputs["class_logits"][..., 0])
    logits = ops.max(ops.where(read, logits, -1e9), axis=-1)
    towers = [step.student_outputs["class_tower"][level] for level in step.student.levels]
    vectors = [ops.reshape(t, (-1, t.shape[1] * t.shape[2], t.shape[3])) for t in towers]
    vectors = ops.cast(ops.concatenate(vectors, axis=1), "float32")
    return Cells(vectors, logits, any_positive, ops.any(read, axis=-1))


def _chosen(cells: Cells, max_positives: int) -> Cells:
    """Select the positive cells of each image, up to a limit, and as many hard negatives."""
    number = min(max_positives, cells.positive.shape[1])
    kinds = (cells.positive, cells.counted & ops.logical_not(cells.positive))
    ranked = [
        ops.top_k(ops.stop_gradient(ops.where(kind, cells.logits, -1e9)), number) for kind in kinds
    ]
    there = [
        ops.take_along_axis(kind, places, axis=1)
        for kind, (_, places) in zip(kinds, ranked, strict=True)
    ]
    num_positives = ops.sum(ops.cast(there[0], "int32"), axis=1, keepdims=True)
    there[1] = there[1] & (ops.arange(number)[None] < num_positives)
    places = ops.concatenate([places for _, places in ranked], axis=1)
    return Cells(
        ops.take_along_axis(cells.vectors, places[..., None], axis=1),
        ops.take_along_axis(cells.logits, places, axis=1),
        ops.take_along_axis(cells.positive, places, axis=1),
        ops.concatenate(there, axis=1),
    )
