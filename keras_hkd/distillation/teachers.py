"""The frozen teachers of a Distiller: one, several or none, each with its size and its weight."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy
from keras import ops, tree

from keras_hkd.distillation.learners import as_learner
from keras_hkd.errors import InvalidValueError
from keras_hkd.hierarchies.alignment import narrowed, shared_classes
from keras_hkd.hierarchies.every_teacher import EveryTeacher
from keras_hkd.hierarchies.hierarchy import check_unused
from keras_hkd.hierarchies.possibilities import possible, refusal
from keras_hkd.hierarchies.shared_view import resize_view
from keras_hkd.tensors import Tensor, TensorDict

if TYPE_CHECKING:
    from keras_hkd.hierarchies.hierarchy import Hierarchy


def as_teachers(teacher: Any) -> list[Any]:
    """A list of learners from what a user calls `teacher`: a model, several, or None."""
    if teacher is None:
        return []
    several = teacher if isinstance(teacher, (list, tuple)) else [teacher]
    return [as_learner(model) for model in several]


def check_apart(teachers: Sequence[Any], student: Any) -> None:
    """Raises a ValueError where a teacher would change with the student."""
    if not getattr(student, "learns", True):
        raise InvalidValueError(
            f"The student, a {type(student).__name__}, cannot be trained here: it can teach and "
            "detect. Give another model as student."
        )
    own = {id(variable) for variable in student.variables}
    for teacher in teachers:
        shared = own & {id(variable) for variable in teacher.variables}
        if shared:
            raise InvalidValueError(
                f"Teacher and student share {len(shared)} variables, so the teacher would change "
                "with the student. Build them separately; a copy of a saved detector is had with "
                "keras_hkd.load_detector(path) or keras_hkd.load_classifier(path)."
            )


def sizes_of(teacher_image_size: Any, teachers: Sequence[Any]) -> list[tuple[int, int] | None]:
    """`(height, width)` or None for each teacher, from one for all or a list."""
    sizes = teacher_image_size
    if not isinstance(sizes, (list, tuple)) or not all(_is_size(one) for one in sizes):
        sizes = [sizes] * len(teachers)
    if len(sizes) != len(teachers) or not all(_is_size(size) for size in sizes):
        raise InvalidValueError(
            "`teacher_image_size` must be (height, width) in pixels, or a list with one for each "
            f"of the {len(teachers)} teachers. Received: teacher_image_size={teacher_image_size}"
        )
    return [_size_of(size, teacher) for size, teacher in zip(sizes, teachers, strict=True)]


def _size_of(size: Any, teacher: Any) -> tuple[int, int] | None:
    if size is not None:
        size = tuple(int(side) for side in size)
    if stored_by(teacher) is not None:
        return stored_by(teacher).size_seen(size)
    if size is not None and hasattr(teacher, "check_image_size"):
        teacher.check_image_size(size)
    return size


def _is_size(size: Any) -> bool:
    return size is None or (isinstance(size, (list, tuple)) and len(size) == 2)


def weights_of(teacher_weights: Sequence[float] | None, teachers: Sequence[Any]) -> list[float]:
    """A number for each teacher; equal shares of 1 by default."""
    if teacher_weights is None:
        return [1.0 / len(teachers) for _ in teachers]
    if len(teachers) < 2:
        raise InvalidValueError(
            "`teacher_weights` weighs several teachers. Of one, weigh the terms: "
            f"`distillation_loss_weights`. Received: teacher_weights={teacher_weights}"
        )
    listed = isinstance(teacher_weights, (list, tuple))
    if not listed or len(teacher_weights) != len(teachers) or min(teacher_weights) < 0:
        raise InvalidValueError(
            f"`teacher_weights` must be {len(teachers)} numbers of at least 0, one for each "
            f"teacher. Received: teacher_weights={teacher_weights}"
        )
    return [float(weight) for weight in teacher_weights]


def attach(
    hierarchy: Hierarchy,
    teachers: Sequence[Any],
    sizes: Sequence[Sequence[int] | None],
    weights: Sequence[float],
    student: Any,
) -> Hierarchy:
    """Attaches a hierarchy to the teacher that it reads, or to all of several.

    Args:
        hierarchy: a `Hierarchy`, not yet attached.
        teachers: list of learners.
        sizes: of each teacher, or None.
        weights: of each teacher.
        student: a `Learner`.

    Returns:
        The hierarchy, inside an `EveryTeacher` where it reads several.

    Raises:
        ValueError: a pair that it cannot compare, with what the pair allows; a teacher that is not
            there.
    """
    check_unused(hierarchy)
    number = hierarchy.teacher
    if number is not None and not (isinstance(number, int) and 0 <= number < len(teachers)):
        raise InvalidValueError(
            f"{type(hierarchy).__name__}(teacher=...) must be the number of one of the "
            f"{len(teachers)} teachers, from 0 on. Received: teacher={number!r}"
        )
    every = isinstance(hierarchy, EveryTeacher)
    reads = hierarchy.hierarchy if every else hierarchy
    if number is None and reads.needs_teacher and len(teachers) > 1:
        numbers = list(range(len(teachers)))
        hierarchy = hierarchy if every else EveryTeacher(hierarchy)
    else:
        numbers = [number or 0]
    for one in numbers:
        _check_served(reads, one, teachers, sizes, student)
    if isinstance(hierarchy, EveryTeacher):
        hierarchy.attach_to(teachers, weights, student)
    else:
        hierarchy.attach(teachers[numbers[0]] if teachers else None, student)
    for one in numbers if reads.needs_teacher else ():
        if stored_by(teachers[one]) is not None:
            several = isinstance(hierarchy, EveryTeacher)
            stored_by(teachers[one]).check([hierarchy.of_teacher[one] if several else hierarchy])
    return hierarchy


def _check_served(
    hierarchy: Hierarchy,
    number: int,
    teachers: Sequence[Any],
    sizes: Sequence[Sequence[int] | None],
    student: Any,
) -> None:
    teacher, size = (teachers[number], sizes[number]) if teachers else (None, None)
    same_size = size is None or size == tuple(student.image_size)
    reason = refusal(hierarchy, teacher, student, same_size)
    if reason is None:
        return
    if len(teachers) > 1:
        reason = (
            f"Teacher {number}: {reason} Another teacher is read with "
            f"{type(hierarchy).__name__}(..., teacher=NUMBER)."
        )
    if teacher is not None:
        reason += f"\nWhat this pair allows:\n{possible(teacher, student, teacher_image_size=size)}"
    raise InvalidValueError(reason)


def stored_by(teacher: Any) -> Any:
    """The `StoredTeacher` that a teacher stands for, or None for one that runs."""
    return getattr(teacher, "stored", None)


def the_store(teachers: Sequence[Any]) -> Any:
    """The one `StoredTeacher` of several teachers, or None.

    Raises:
        ValueError: several are stored, and batches carry the outputs of one.
    """
    stores = [stored_by(teacher) for teacher in teachers if stored_by(teacher) is not None]
    if len(stores) > 1:
        raise InvalidValueError(
            "Batches carry the outputs of one stored teacher: give one cache, and the other "
            f"teachers as models. Received: {len(stores)} caches."
        )
    return stores[0] if stores else None


def hash_of(teacher: Any) -> str:
    """SHA-256 of a teacher's weights, of a stored one as it was when it was stored."""
    stored = stored_by(teacher)
    return weights_hash(teacher) if stored is None else stored.teacher_hash


def _outputs(teacher: Any, images: Tensor, labels: Any, size: Any) -> TensorDict:
    stored = stored_by(teacher)
    if stored is None:
        return teacher(images if size is None else resize_view(images, size), training=False)
    if "teacher" not in labels:
        raise InvalidValueError(
            "The teacher is a cache, so batches must carry what it says: take them from "
            "`cache.training_batches(dataset, ...)`, or train with keras_hkd.training.train_model. "
            f"Received: labels with {sorted(labels)}."
        )
    return stored.outputs(labels["teacher"])


def teach(teacher: Any, student: Any, images: Tensor, labels: Any, size: Any = None) -> TensorDict:
    """A teacher's outputs for a batch, without gradient, of its classes those of the student.

    Args:
        teacher: a `Learner`.
        student: a `Learner`.
        images: `(batch, height, width, 3)`.
        labels: of the batch, which hold what a stored teacher says.
        size: `(height, width)` that the teacher is to see them at; None for theirs.

    Returns:
        What `teacher(images)` gives.
    """
    outputs = _outputs(teacher, images, labels, size)
    try:
        outputs = narrowed(outputs, shared_classes(teacher, student))
    except ValueError:
        pass  # hierarchies that compare classes have refused the pair; others need none
    return tree.map_structure(ops.stop_gradient, outputs)


def weights_hash(model: Any) -> str:
    """SHA-256 over shapes and values of all weights, in order, as hexadecimal digits.

    Args:
        model: any Keras model.

    Example:

    >>> import keras
    >>> layer = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> len(weights_hash(layer))
    64
    """
    digest = hashlib.sha256()
    for variable in model.weights:
        value = numpy.ascontiguousarray(ops.convert_to_numpy(variable))
        digest.update(f"{value.shape}{value.dtype}".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()
