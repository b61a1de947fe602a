"""The frozen teachers of a Distiller: one, several or none, each with a size and a weight.

A teacher is a `Learner`, or the stand-in for the teacher of a `TeacherCache`, whose attribute
`cache` is that cache. Of a cache a Distiller reads `teacher_hash`, `size_seen`, `check` and
`outputs`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy
from keras import ops, saving, tree

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
    """Convert a user's `teacher` (a model, a list of models, or None) to a list of learners."""
    if teacher is None:
        return []
    several = teacher if isinstance(teacher, (list, tuple)) else [teacher]
    return [as_learner(model) for model in several]


def check_apart(teachers: Sequence[Any], student: Any) -> None:
    """Check that the student can be trained and that no teacher would change with it.

    Args:
        teachers: the teachers.
        student: a `Learner`.

    Raises:
        ValueError: if it cannot, or a teacher shares variables with the student.
    """
    if not getattr(student, "learns", True):
        raise InvalidValueError(
            f"The student, a {type(student).__name__}, cannot be trained here: it can teach and "
            f"detect. Give another model as student. Received: '{student.name}'"
        )
    own = {id(variable) for variable in student.variables}
    for teacher in teachers:
        shared = own & {id(variable) for variable in teacher.variables}
        if shared:
            raise InvalidValueError(
                f"Teacher and student share {len(shared)} variables, so the teacher would change "
                "with the student. Build them separately; a copy of a saved detector is had with "
                "keras_hkd.load_detector(path) or keras_hkd.load_classifier(path). "
                f"Received: '{teacher.name}' as teacher, '{student.name}' as student"
            )


def sizes_of(teacher_image_size: Any, teachers: Sequence[Any]) -> list[tuple[int, int] | None]:
    """Return the image size of each teacher.

    Args:
        teacher_image_size: `(height, width)` in pixels for all teachers, a list of one for each, or
            None for the size of the batch.
        teachers: the teachers.

    Returns:
        A list of `(height, width)` or None.

    Raises:
        ValueError: if a size is no pair, or a teacher cannot take it.
    """
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
    if cache_of(teacher) is not None:
        return cache_of(teacher).size_seen(size)
    if size is not None and hasattr(teacher, "check_image_size"):
        teacher.check_image_size(size)
    return size


def _is_size(size: Any) -> bool:
    return size is None or (isinstance(size, (list, tuple)) and len(size) == 2)


def weights_of(teacher_weights: Sequence[float] | None, teachers: Sequence[Any]) -> list[float]:
    """Return the weight of each teacher.

    Args:
        teacher_weights: a number of at least 0 for each teacher; None for equal shares of 1.
        teachers: the teachers.

    Raises:
        ValueError: if the weights do not fit the teachers.
    """
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
    """Attach a hierarchy to the teacher that it reads, or to all of several.

    Args:
        hierarchy: a `Hierarchy` that has not been attached.
        teachers: list of learners.
        sizes: image size of each teacher, or None.
        weights: weight of each teacher.
        student: a `Learner`.

    Returns:
        The hierarchy, or an `EveryTeacher` with it if it reads several.

    Raises:
        ValueError: if it cannot compare the pair (the message lists what the pair allows), or names
            a teacher that does not exist.
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
        if cache_of(teachers[one]) is not None:
            several = isinstance(hierarchy, EveryTeacher)
            cache_of(teachers[one]).check([hierarchy.of_teacher[one] if several else hierarchy])
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


def cache_of(teacher: Any) -> Any:
    """Return the `TeacherCache` that a teacher stands for, or None if the teacher itself runs."""
    return getattr(teacher, "cache", None)


def cached_teacher(teachers: Sequence[Any]) -> Any:
    """Return the `TeacherCache` among several teachers, or None.

    Raises:
        ValueError: if there are several, as batches carry the outputs of one.
    """
    caches = [cache_of(teacher) for teacher in teachers if cache_of(teacher) is not None]
    if len(caches) > 1:
        raise InvalidValueError(
            "Batches carry the outputs of one stored teacher: give one cache, and the other "
            f"teachers as models. Received: {len(caches)} caches."
        )
    return caches[0] if caches else None


def hash_of(teacher: Any) -> str:
    """Return the SHA-256 of a teacher's weights, for a cache that of the original teacher."""
    cache = cache_of(teacher)
    return weights_hash(teacher) if cache is None else cache.teacher_hash


def _outputs(teacher: Any, images: Tensor, labels: Any, size: Any) -> TensorDict:
    cache = cache_of(teacher)
    if cache is None:
        return teacher(images if size is None else resize_view(images, size), training=False)
    if "teacher" not in labels:
        raise InvalidValueError(
            "The teacher is a cache, so batches must carry its outputs: take them from "
            "`cache.training_batches(dataset, ...)`, or train with keras_hkd.training.train_model. "
            f"Received: labels with {sorted(labels)}."
        )
    return cache.outputs(labels["teacher"])


def teach(teacher: Any, student: Any, images: Tensor, labels: Any, size: Any = None) -> TensorDict:
    """Compute a teacher's outputs for a batch, without gradient, for the student's classes.

    Args:
        teacher: a `Learner`, or the stand-in of a cache.
        student: a `Learner`.
        images: `(batch, height, width, 3)`.
        labels: labels of the batch, which hold the outputs of a cached teacher.
        size: `(height, width)` in pixels at which the teacher sees the images; None for their own.

    Returns:
        The result of `teacher(images)`.
    """
    outputs = _outputs(teacher, images, labels, size)
    try:
        outputs = narrowed(outputs, shared_classes(teacher, student))
    except ValueError:
        pass  # hierarchies that compare classes have refused the pair; others do not need them
    return tree.map_structure(ops.stop_gradient, outputs)


def weights_hash(model: Any) -> str:
    """Compute the SHA-256 of shapes and values of all weights, in order.

    Args:
        model: any Keras model.

    Returns:
        Hexadecimal digits.

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


def serialized(teachers: Sequence[Any]) -> Any:
    """Return the config of a teacher, a list of several, or None; of a cache its own."""
    stored = [cache_of(teacher) or teacher for teacher in teachers]
    made = [saving.serialize_keras_object(teacher) for teacher in stored]
    return made if len(made) > 1 else (made or [None])[0]
