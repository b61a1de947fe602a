"""What a Distiller asks of a teacher whose outputs were computed beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from keras_hkd.errors import InvalidValueError
from keras_hkd.tensors import TensorDict

if TYPE_CHECKING:
    from keras_hkd.hierarchies.hierarchy import Hierarchy


class StoredTeacher:
    """A teacher that is read from a store instead of being run; `keras_hkd.TeacherCache` is one.

    Attributes:
        teacher: what stands for it where hierarchies ask for levels, widths and how predictions
            are decoded. Its attribute `stored` is this object.
        teacher_hash: SHA-256 of the real teacher's weights, or of its detections.
        image_size: `(height, width)` of the batches.
        teacher_image_size: `(height, width)` that the teacher saw, or None for that of the batches.
    """

    teacher = None
    teacher_hash = None
    image_size = None
    teacher_image_size = None

    def size_seen(self, asked: Sequence[int] | None = None) -> tuple[int, int] | None:
        """`teacher_image_size`; a ValueError where another one is asked for."""
        seen = self.teacher_image_size or self.image_size
        if asked is not None and asked != seen:
            raise InvalidValueError(
                f"The stored teacher saw images at {seen or 'their own size'}. "
                f"Received: teacher_image_size={asked}"
            )
        return self.teacher_image_size

    def outputs(self, rows: TensorDict) -> TensorDict:
        """The teacher's outputs for a batch, from what the batch's labels hold as `teacher`."""
        raise NotImplementedError(f"{type(self).__name__} must implement `outputs`.")

    def check(self, hierarchies: Iterable[Hierarchy]) -> None:
        """Raises a ValueError for a hierarchy that reads what is not stored."""
        raise NotImplementedError(f"{type(self).__name__} must implement `check`.")
