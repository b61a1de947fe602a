"""DistillationLoss: the base class of all losses."""

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
    """Base class: compares a student's tensor with a teacher's.

    Subclasses implement `compute(teacher, student, mask)`. It gets float32 tensors of equal shape,
    the teacher's without gradient, and the mask as float32 weights or `None`, and returns a scalar.
    Further arguments that it requires are declared by name in `needs`, optional ones in `uses`;
    both are keyword-only arguments of the call, are passed on to `compute`, and hierarchies provide
    them. Reductions go through `keras_hkd.replicas`, so that the loss of a batch does not depend on
    the number of devices that share it.

    Constructor arguments are keyword-only, kept as attributes of the same name, and returned by
    `get_config`.

    Attributes:
        needs: names of further required arguments, for instance `("boxes", "image_size")`.
        uses: names of further optional arguments.
        compares: kinds of tensors that the loss is made for, some of "features", "logits",
            "probabilities" (the teacher's, against logits), "bins" (logits of the bins of box
            edges) and "boxes" (xyxy pixels); empty for any.
        needs_equal_channels: False if the last axes of teacher and student may differ.
        reads_masked: True if the loss also reads what the mask leaves out.
        min_rank: the smallest number of axes.
        max_rank: the largest number of axes; None for any number.
        weighs_cells: True if the mask may hold arbitrary weights of the cells of a map; False if it
            only selects cells.
        masks_channels: True if a mask may have the last axis, False if the loss reads that axis as
            a whole.

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
                regions, 7, 7, channels). Entries of weight 0 are not read and get no gradient.
                `None` weights all entries equally.
            **context: the further arguments that the loss declares in `needs` and `uses`.

        Returns:
            A float32 scalar; 0 for an empty batch or if all weights are 0.

        Raises:
            ValueError: if the shapes of teacher and student differ or have too few axes, or the
                mask does not fit them.
            TypeError: if a needed argument is missing, or an unknown one is given.
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
        """Compute the loss; implemented by subclasses.

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
        """Refuse a last axis that the loss cannot compare; hierarchies of logits call it early.

        Args:
            num_channels: size of the last axis; for logits, the number of classes.

        Raises:
            ValueError: if the loss cannot compare it; the message names losses that can.
        """
        return  # AutoGraph warns of a function that is nothing but its docstring

    def may_differ(self, axis: int, last: int) -> bool:
        """Return whether the sizes of teacher and student may differ along an axis.

        Args:
            axis: number of the axis.
            last: number of the last axis.
        """
        return axis == last and not self.needs_equal_channels

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, a dict that `from_config` takes."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build a loss from what `get_config` returned."""
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
                f"{name} takes {_listed(['mask', *self.needs, *self.uses])}. "
                f"Received: {_listed(unknown)}."
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
            check_leading_axes(mask, teacher)  # maps of unequal size have no mask in common
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
    """Set a tensor to 0 where the mask is 0, so that its values there do not matter.

    Args:
        x: tensor.
        mask: weights on its leading axes.

    Returns:
        A tensor of the shape of `x`.

    Example:

    >>> float(blank(ops.array([float("nan")]), ops.zeros(1))[0])
    0.0
    """
    # Zero times NaN or infinity is NaN, in the value and in the gradient.
    return ops.where(expand_to_rank(mask, x.ndim) > 0, x, 0.0)
