"""LearnableLoss: the base class of losses with layers that are trained."""

from typing import Self, cast

import keras

from keras_hkd.losses.distillation_loss import DistillationLoss
from keras_hkd.tensors import Shape

__all__ = ["LearnableLoss"]


@keras.saving.register_keras_serializable(package="keras_hkd")
class LearnableLoss(DistillationLoss):
    """Base class of losses with layers, which are trained with the student and do not ship.

    Subclasses implement `make_layers(teacher_channels, student_channels)`. The layers exist once
    the widths are known: after `build`, or after the first call. A hierarchy takes a `fresh` loss
    for each tensor that it reads, builds it and owns the layers, so that the Distiller trains and
    checkpoints them. Outside a hierarchy the loss owns them: train `loss.trainable_variables`.

    Attributes:
        layers: dict of built Keras layers by name; empty before `build`.
    """

    def __init__(self) -> None:
        self._layers: dict[str, keras.layers.Layer] | None = None

    @property
    def layers(self) -> dict[str, keras.layers.Layer]:
        """The layers by name; empty before `build`."""
        return dict(self._layers or {})

    @property
    def trainable_variables(self) -> list[keras.Variable]:
        """The variables of all layers that an optimizer has to update."""
        return [v for layer in self.layers.values() for v in layer.trainable_variables]

    def make_layers(
        self, teacher_channels: int, student_channels: int
    ) -> dict[str, keras.layers.Layer]:
        """Create and build the layers; implemented by subclasses.

        Args:
            teacher_channels: width of the teacher's tensors.
            student_channels: width of the student's tensors, after a projection if there is one.

        Returns:
            A dict of built float32 Keras layers by name.

        Raises:
            NotImplementedError: in the base class.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement `make_layers(teacher_channels, "
            "student_channels)`."
        )

    def build(self, teacher_channels: int, student_channels: int) -> None:
        """Create the layers unless they exist.

        Args:
            teacher_channels: width of the teacher's tensors.
            student_channels: width of the student's.
        """
        if self._layers is None:
            self._layers = self.make_layers(teacher_channels, student_channels)

    def fresh(self) -> Self:
        """Return another loss with the same arguments and its own layers, not built yet."""
        return type(self).from_config(self.get_config())

    def _check_shapes(self, teacher: Shape, student: Shape) -> None:
        super()._check_shapes(teacher, student)
        self.build(cast(int, teacher[-1]), cast(int, student[-1]))
