"""FeatureImitation: mean squared difference of features."""

import keras

from keras_hkd.losses.distillation_loss import DistillationLoss
from keras_hkd.replicas import weighted_mean, weighted_mean_square
from keras_hkd.tensors import Tensor

__all__ = ["FeatureImitation"]


@keras.saving.register_keras_serializable(package="keras_hkd")
class FeatureImitation(DistillationLoss):
    """Computes the mean squared difference between student and teacher features.

    It is the loss of HKD and the usual baseline. `loss = mean((S - T)^2)` over all elements; with a
    mask the mean over the unmasked elements. The loss is 0, with zero gradient, if student and
    teacher are equal.

    The call takes `teacher` and `student`, tensors (batch, ..., channels) of one shape, and `mask`,
    weights on their leading axes; see `DistillationLoss`, also for the errors raised.

    Example:

    >>> from keras import ops
    >>> loss = FeatureImitation()
    >>> float(loss(ops.zeros((1, 2, 2, 3)), 2 * ops.ones((1, 2, 2, 3))))
    4.0

    Reference:
        Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015,
        https://arxiv.org/abs/1412.6550
    """

    reads_masked = True  # not in the end: the one difference is blanked, and not two tensors
    weighs_cells = True
    masks_channels = True

    def compute(self, teacher: Tensor, student: Tensor, mask: Tensor | None) -> Tensor:
        """Compute the mean squared difference.

        Args:
            teacher: float32 tensor without gradient.
            student: float32 tensor of the same shape.
            mask: float32 weights on the leading axes, or `None`.

        Returns:
            A float32 scalar.
        """
        return weighted_mean_square(student - teacher, mask)

    def of_squares(self, squares: Tensor, mask: Tensor | None) -> Tensor:
        """Compute the loss from `(S - T)^2`, where that is cheaper to have than both tensors.

        Args:
            squares: float32 tensor `(batch, ...)`, or its means over trailing axes.
            mask: weights on the leading axes, or `None`.

        Returns:
            A float32 scalar.
        """
        return weighted_mean(squares, mask)
