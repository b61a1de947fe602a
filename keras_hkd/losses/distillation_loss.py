"""What all losses share: shapes are checked, the teacher is constant, arithmetic is float32."""

from collections.abc import Iterable, Mapping
from typing import Any, Self

import keras
from keras import ops

from keras_hkd.errors import InvalidTypeError, InvalidValueError
from keras_hkd.replicas import check_leading_axes, expand_to_rank
from keras_hkd.tensors import Shape, Tensor

__all__ = ["DistillationLoss"]


@keras.saving.register_keras_serializable(package="keras_hkd")
class DistillationLoss:
    """Base class: says how two tensors are compared, and knows nothing about detectors.

    A subclass writes `compute(teacher, student, mask)`. It gets float32 tensors of equal shape, the
    teacher's without gradient, and the mask as float32 weights or `None`, and returns a scalar.
    What else it must know it declares by name in `needs`, what it can use in `uses`; both are
    keyword-only arguments of the call, handed on to `compute`, and hierarchies pass them.
    Reductions go through `keras_hkd.replicas`, so that the loss of a batch does not depend on how
    many devices share it.

    Constructor arguments are keyword-only, kept as attributes of the same name, and returned by
    `get_config`.

    Attributes:
        needs: names of further arguments without which the loss cannot be had, for instance
            `("boxes", "image_size")`.
        uses: names of further arguments that it does without where nobody gives them.
        compares: which tensors it is made for, some of "features", "logits", "probabilities" (the
            teacher's, against logits), "bins" (logits of the bins of box edges) and "boxes" (xyxy
            pixels); empty where any will do.
        needs_equal_channels: False where the last axes of teacher and student may differ.
        reads_masked: True where the mask does not stand for all that is read.
        min_rank: the fewest axes that the loss makes sense for.
        max_rank: the most axes; None for any number.
        weighs_cells: True where the mask may be any weight of the cells of a map, a cell counting
            as much as its weight; False where it only says which cells are there.
        masks_channels: True where a mask may reach down to the last axis, False where the loss
            reads that axis whole.

    Example:

    >>> class AbsoluteDifference(DistillationLoss):
    ...     def compute(self, teacher, student, mask):
    ...         return weighted_mean(ops.abs(teacher - student), mask)
    >>> from keras_hkd.replicas import weighted_mean
    >>> float(AbsoluteDifference()(ops.zeros((2, 3)), ops.ones((2, 3))))
    1.0
    """

    needs: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    compares: tuple[str, ...] = ()
    needs_equal_channels: bool = True
    reads_masked: bool = False
    min_rank: int = 1
    max_rank: int | None = None
    weighs_cells: bool = False
    masks_channels: bool = False

    def __call__(
        self, teacher: Tensor, student: Tensor, *, mask: Tensor | None = None, **context: Any
    ) -> Tensor:
        """Compare a student's tensor with a teacher's.

        Args:
            teacher: tensor (batch, ..., channels) of any float type; gets no gradient.
            student: tensor of the same shape.
            mask: weights (zero or more, or booleans) with the leading axes of the tensors, for
                instance (batch, n) for (batch, n, channels) or (batch, regions) for (batch,
                regions, 7, 7, channels). What has weight 0 is not read and gets no gradient. `None`
                weighs everything alike.
            **context: what the loss declares in `needs` (all of it) and in `uses`.

        Returns:
            A float32 scalar; 0 for an empty batch or where every weight is 0.

        Raises:
            ValueError: the shapes of teacher and student differ, have too few axes, or the mask
                does not fit them.
            TypeError: an argument that the loss needs is missing, or one that it does not know.
        """
        self._check_context(context)
        teacher = ops.stop_gradient(_as_float32(teacher))
        student = _as_float32(student)
        self._check_shapes(tuple(teacher.shape), tuple(student.shape))
        if student.shape[-1] is not None:
            self.check_channels(student.shape[-1])
        if mask is not None:
            mask = ops.stop_gradient(_as_float32(mask))
            self._check_mask(mask, teacher, student)
            if not self.reads_masked:
                teacher, student = blank(teacher, mask), blank(student, mask)
        return self.compute(teacher, student, mask, **context)

    def compute(self, teacher: Tensor, student: Tensor, mask: Tensor | None) -> Tensor:
        """The loss itself; to be written by the subclass.

        Args:
            teacher: float32 tensor without gradient, 0 where the mask is 0.
            student: float32 tensor, 0 where the mask is 0.
            mask: float32 weights on the leading axes, or `None`.

        Returns:
            A float32 scalar.

        Raises:
            NotImplementedError: in the base class.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement `compute(teacher, student, mask)`."
        )

    def check_channels(self, num_channels: int) -> None:
        """Refuse a last axis that the loss cannot compare; hierarchies of logits ask beforehand.

        Args:
            num_channels: size of the last axis; of logits, the number of classes.

        Raises:
            ValueError: it cannot, with what can.
        """
        return  # AutoGraph warns of a function that is nothing but its docstring

    def may_differ(self, axis: int, last: int) -> bool:
        """Whether teacher and student may have other sizes along an axis.

        Args:
            axis: number of the axis.
            last: number of the last axis.

        Returns:
            A bool.
        """
        return axis == last and not self.needs_equal_channels

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments.

        Returns:
            A dict that `from_config` takes.
        """
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build the loss from what `get_config` gave.

        Args:
            config: dict.

        Returns:
            A loss of this class.
        """
        return cls(**config)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"

    def _check_context(self, context: Mapping[str, Any]) -> None:
        name = type(self).__name__
        missing = [argument for argument in self.needs if context.get(argument) is None]
        if missing:
            raise InvalidTypeError(
                f"{name} needs {_listed(missing)}, keyword-only: loss(teacher, student, "
                f"{', '.join(f'{argument}=...' for argument in self.needs)}). "
                f"Received: {_listed(context) or 'none'}."
            )
        unknown = [argument for argument in context if argument not in (*self.needs, *self.uses)]
        if unknown:
            raise InvalidTypeError(
                f"{name} does not know {_listed(unknown)}. It takes "
                f"{_listed(['mask', *self.needs, *self.uses])}."
            )

    def _check_shapes(self, teacher: Shape, student: Shape) -> None:
        name = type(self).__name__
        received = f"Received: teacher {teacher}, student {student}."
        if len(teacher) != len(student):
            raise InvalidValueError(
                f"{name} needs teacher and student tensors of the same shape; they have "
                f"{len(teacher)} and {len(student)} axes. {received} "
                "Reshape one of them: nothing is broadcast."
            )
        if not self.min_rank <= len(student) <= (self.max_rank or len(student)):
            exactly = self.min_rank == self.max_rank
            raise InvalidValueError(
                f"{name} needs tensors of {'' if exactly else 'at least '}{self.min_rank} axes "
                f"(batch, ..., channels). {received}"
            )
        last = len(teacher) - 1
        for axis, (a, b) in enumerate(zip(teacher, student, strict=True)):
            if a == b or None in (a, b) or self.may_differ(axis, last):
                continue
            raise InvalidValueError(
                f"{name} needs teacher and student tensors of the same shape; axis {axis} differs. "
                f"{received} " + _how_to_mend(axis, last, a)
            )

    def _check_mask(self, mask: Tensor, teacher: Tensor, student: Tensor) -> None:
        check_leading_axes(mask, student)
        if mask.ndim < student.ndim:
            check_leading_axes(mask, teacher)  # positions cannot be masked in maps of unequal size
        if mask.ndim == student.ndim and not self.masks_channels:
            shape = tuple(student.shape)
            raise InvalidValueError(
                f"{type(self).__name__} reads the last axis whole, so a mask weighs positions, not "
                f"channels: for tensors of shape {shape} at most {shape[:-1]}. "
                f"Received: mask of shape {tuple(mask.shape)}. Drop its last axis."
            )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _how_to_mend(axis: int, last: int, teacher_size: int | None) -> str:
    if axis == 0:
        return "Give both models the same batch."
    if axis == last:
        return (
            f"Project the student to the teacher's {teacher_size} channels first (for "
            "instance with a 1x1 convolution)."
        )
    return (
        "Read both at the same pyramid level of the same images, or resize the student's map first."
    )


def _as_float32(x: Tensor) -> Tensor:
    return ops.cast(ops.convert_to_tensor(x), "float32")


def blank(x: Tensor, mask: Tensor) -> Tensor:
    """Put 0 where the mask is 0, so that what stands there is not read.

    Args:
        x: tensor.
        mask: weights on its leading axes.

    Returns:
        A tensor like `x`.

    Example:

    >>> float(blank(ops.array([float("nan")]), ops.zeros(1))[0])
    0.0
    """
    # A zero weight times a NaN or an infinity would still be a NaN, in the value and the gradient.
    return ops.where(expand_to_rank(mask, x.ndim) > 0, x, 0.0)
