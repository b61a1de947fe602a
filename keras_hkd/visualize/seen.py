"""What hierarchies give to their losses, as maps of one image."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_hkd.distillation.learners import as_learner
from keras_hkd.distillation.teachers import teach
from keras_hkd.errors import InvalidValueError
from keras_hkd.hierarchies.hierarchy import Hierarchy
from keras_hkd.hierarchies.step import Compared, Step
from keras_hkd.losses.channel_moments import standardised
from keras_hkd.tensors import Tensor, TensorDict

_TINY = 1e-12


@dataclasses.dataclass(frozen=True, eq=False)
class LevelMap:
    """What a loss compares at one pyramid level of one image.

    Attributes:
        term: name of the hierarchy.
        key: "P3" and the like, or which of several tensors of all levels: "all", "class", "box".
        level: the pyramid level.
        teacher: `(height, width)`: of features the mean over channels of their absolute values; of
            logits the best class's score; of boxes the mean of the absolute numbers compared.
        student: the same of the student, projected to the teacher's width.
        difference: `(height, width)`: of features and boxes the root mean square over channels or
            numbers of what differs; of logits the absolute difference of the scores.
        weights: `(height, width)`: how much a cell counts, the loss's own choice of cells included;
            None where all count alike.
    """

    term: str
    key: str
    level: str
    teacher: np.ndarray
    student: np.ndarray
    difference: np.ndarray
    weights: np.ndarray | None


def look(
    teacher: Any,
    student: Any,
    images: Any,
    labels: TensorDict,
    teacher_image_size: Sequence[int] | None = None,
) -> Step:
    """Run teacher and student on a batch, as a `Distiller` does before its losses.

    No weight and no statistic changes.

    Args:
        teacher: a detector; None to look at the student alone. Attach hierarchies to the pair
            before looking: `CrossHead` taps layers of both.
        student: a detector, such as `distiller.learner`.
        images: `(batch, height, width, 3)` RGB in [0, 255].
        labels: dict of `boxes (batch, n, 4)` xyxy pixels and `classes (batch, n)`, padded with -1.
        teacher_image_size: `(height, width)` in pixels at which the teacher sees the images; None
            for their own.

    Returns:
        The `Step` that hierarchies read, and that the functions of `keras_hkd.visualize` draw.

    Raises:
        TypeError: if a model is no detector.
        ValueError: if the labels do not fit.

    Example:

    >>> from keras_hkd.data import synthetic_dataset, training_batches
    >>> from keras_hkd.detectors import build
    >>> scenes = synthetic_dataset(2, (64, 64), seed=0)
    >>> batches = training_batches(scenes, image_size=(64, 64), batch_size=2, seed=0)
    >>> images, labels = next(iter(batches))
    >>> pair = build("yolo_v8_micro", image_size=(64, 64)), build("yolo_v8_micro")
    >>> look(*pair, images, labels).image_size
    (64, 64)
    """
    teacher = None if teacher is None else as_learner(teacher)
    student = as_learner(student)
    images = ops.convert_to_tensor(images)
    size = (int(images.shape[1]), int(images.shape[2]))
    outputs = student(images, training=False)
    given = student.check_labels(labels)
    assignment = student.assign(outputs, given, size)
    wanted = None if teacher_image_size is None else tuple(int(s) for s in teacher_image_size)
    taught = None if teacher is None else teach(teacher, student, images, labels, wanted)
    return Step(teacher, student, taught, outputs, given, assignment, size, images, False, wanted)


def what_the_loss_sees(hierarchy: Hierarchy, step: Step) -> list[Compared]:
    """Record what a hierarchy gives to its loss.

    The hierarchy's own `compute` runs, so that its projections, masks and choices are in it.

    Args:
        hierarchy: a hierarchy that is attached to the pair: one of `distiller.distillation_losses`,
            or a new one after `hierarchy.attach(teacher, student)`.
        step: what `look` gave.

    Returns:
        A `Compared` for each call of the loss: `term`, `key`, `teacher`, `student`, `mask`,
        `context` and `loss`.

    Raises:
        ValueError: if the hierarchy is not attached, or needs a teacher and there is none.

    Example:

    >>> from keras_hkd.data import synthetic_dataset, training_batches
    >>> from keras_hkd.detectors import build
    >>> from keras_hkd.hierarchies import Pyramid
    >>> from keras_hkd.losses import PearsonCorrelation
    >>> scenes = synthetic_dataset(1, (64, 64), seed=0)
    >>> batches = training_batches(scenes, image_size=(64, 64), batch_size=1, seed=0)
    >>> images, labels = next(iter(batches))
    >>> teacher, student = build("yolo_v8_micro", seed=1), build("yolo_v8_micro", seed=0)
    >>> pyramid = Pyramid(PearsonCorrelation())
    >>> pyramid.attach(teacher, student)
    >>> step = look(teacher, student, images, labels)
    >>> [(one.key, tuple(one.teacher.shape[1:3])) for one in what_the_loss_sees(pyramid, step)]
    [('P3', (8, 8)), ('P4', (4, 4)), ('P5', (2, 2))]
    """
    if not hierarchy.built:
        raise InvalidValueError(
            "Expected a hierarchy that is attached to the pair: one of "
            "`distiller.distillation_losses`, or call `hierarchy.attach(teacher, student)` first. "
            f"Received: '{hierarchy.name}', which is not attached"
        )
    if hierarchy.needs_teacher and step.teacher is None:
        raise InvalidValueError(
            f"{type(hierarchy).__name__} compares with a teacher. Give `look` one. "
            "Received: a step without teacher"
        )
    before = [one.compared for one in step.of_teachers]
    found: list[Compared] = []
    for one in step.of_teachers:
        one.compared = found
    try:
        hierarchy.compute(step)
    finally:
        for one, earlier in zip(step.of_teachers, before, strict=True):
            one.compared = earlier
    return found


def level_maps(
    hierarchy: Hierarchy, step: Step, row: int = 0, standardize: bool = False
) -> list[LevelMap]:
    """Lay out what a hierarchy compares as maps of one image.

    Args:
        hierarchy: see `what_the_loss_sees`.
        step: what `look` gave.
        row: which image of the batch.
        standardize: whether the channels of feature maps are first brought to mean 0 and deviation
            1 over the batch, as losses that compare only correlations do.

    Returns:
        A `LevelMap` for each level, finest first, or the hierarchy's own order.

    Raises:
        ValueError: if nothing that is compared lies on the cells of a level, as with classifiers
            and with `Region`, whose regions `draw_regions` shows.
    """
    maps = []
    for one in what_the_loss_sees(hierarchy, step):
        maps += _laid_out(one, hierarchy, step, row, standardize)
    if not maps:
        raise InvalidValueError(
            "Expected a hierarchy that compares cells of feature maps or predictions of anchors. "
            f"Received: {type(hierarchy).__name__} '{hierarchy.name}'"
        )
    return maps


def _laid_out(
    one: Compared, hierarchy: Hierarchy, step: Step, row: int, standardize: bool
) -> list[LevelMap]:
    teacher, student = (ops.cast(x, "float32") for x in (one.teacher, one.student))
    of_several: Any = getattr(hierarchy, "hierarchy", hierarchy)  # one that reads every teacher
    kinds = of_several.tensors
    if one.key in step.student.levels and len(teacher.shape) == 4:
        if standardize:
            teacher, student = (standardised([x])[0] for x in (teacher, student))
        values = _strengths(teacher, student, "features", 3)
        weights = _cell_weights(one, (int(teacher.shape[1]), int(teacher.shape[2])))
        rows: list[Any] = [None if x is None else _numpy(x)[row] for x in (*values, weights)]
        return [LevelMap(one.term, one.key, one.key, *rows)]
    layout = None if len(teacher.shape) < 3 else _layout(int(teacher.shape[1]), hierarchy, step)
    if layout is None:
        return []
    levels, per_cell = layout
    kind = "logits" if "logits" in kinds and one.key != "box" else "features"
    values = [*_strengths(teacher, student, kind, 2), one.mask]
    split = [None if x is None else _by_level(_numpy(x)[row], levels, per_cell) for x in values]
    maps = []
    for level in levels:
        rows = [None if x is None else x[level] for x in split]
        maps.append(LevelMap(one.term, one.key, level, *rows))
    return maps


def _strengths(teacher: Tensor, student: Tensor, kind: str, leading: int) -> list[Tensor]:
    """Reduce all axes but the leading ones to one number, of each and of their difference."""
    axes = tuple(range(leading, len(teacher.shape)))
    if kind == "logits":
        scores = [ops.sigmoid(ops.max(x, axis=axes)) for x in (teacher, student)]
        return [*scores, ops.abs(scores[0] - scores[1])]
    difference = ops.sqrt(ops.mean(ops.square(teacher - student), axis=axes) + _TINY)
    return [*(ops.mean(ops.abs(x), axis=axes) for x in (teacher, student)), difference]


def _cell_weights(one: Compared, shape: tuple[int, int]) -> Tensor | None:
    """Multiply the hierarchy's mask by the cells that the loss itself chooses."""
    chooses = getattr(one.loss, "cell_weights", None)
    if chooses is None or not {"boxes", "image_size"} <= set(one.context):
        return one.mask
    chosen = chooses(one.context["boxes"], one.context["image_size"], shape)
    return chosen if one.mask is None else chosen * ops.cast(one.mask, chosen.dtype)


def _layout(
    count: int, hierarchy: Hierarchy, step: Step
) -> tuple[dict[str, tuple[int, int]], int] | None:
    """Find over which levels, and how many to a cell, so many rows lie; None for something else."""
    shapes = step.student.level_shapes(step.image_size)
    own = getattr(hierarchy, "attached_levels", shapes)
    for levels, per_cell in ((shapes, step.student.anchors_per_cell), (own, 1)):
        here = {level: shapes[level] for level in levels}
        if here and count == per_cell * sum(height * width for height, width in here.values()):
            return here, per_cell
    return None


def _by_level(
    values: np.ndarray, levels: dict[str, tuple[int, int]], per_cell: int
) -> dict[str, np.ndarray]:
    """Split one number for each anchor by level; the largest of a cell's anchors stands for it."""
    cells, start = {}, 0
    for level, (height, width) in levels.items():
        stop = start + height * width * per_cell
        cells[level] = values[start:stop].reshape(height, width, per_cell).max(axis=-1)
        start = stop
    return cells


def _numpy(tensor: Tensor) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(tensor), np.float32)
