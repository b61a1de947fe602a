"""PearsonCorrelation: squared difference of standardised features (PKD)."""

from typing import Any

import keras

from keras_hkd.checks import positive
from keras_hkd.losses.channel_moments import standardised
from keras_hkd.losses.distillation_loss import DistillationLoss
from keras_hkd.replicas import weighted_mean_square
from keras_hkd.tensors import Tensor

__all__ = ["PearsonCorrelation"]


@keras.saving.register_keras_serializable(package="keras_hkd")
class PearsonCorrelation(DistillationLoss):
    """Computes one minus the Pearson correlation of student and teacher channels (PKD).

    As the scale of features does not matter, it suits pairs of different architectures. Each
    channel of both tensors is standardised over the batch and all positions, with the unbiased
    deviation (n - 1): `X' = (X - mean) / (deviation + epsilon)`, and

        loss = mean((S' - T')^2) / 2

    which is (1 - r) (n - 1) / n, r being Pearson's correlation, averaged over channels: between 0
    and 2. The loss is invariant to positive scaling and shifts of each channel.

    With a mask the mean, the deviation and the final mean are weighted by it; masking a position is
    the same as removing it. Under `tf.distribute` the statistics are those of the whole batch. A
    channel whose deviation is at most `epsilon` counts as constant: it becomes 0 and passes no
    gradient, which would be of the size of 1 / epsilon.

    The call takes `teacher` and `student`, tensors (batch, ..., channels) of one shape, and `mask`,
    weights on their leading axes without the channels; see `DistillationLoss`, also for the errors.

    Args:
        epsilon: small positive number, added to the deviation; in the unit of the features.

    Raises:
        ValueError: if `epsilon` is not positive.

    Example:

    >>> features = keras.random.normal((2, 4, 4, 3), seed=0)
    >>> loss = PearsonCorrelation()
    >>> bool(loss(features, 5 * features + 1) < 1e-6)
    True
    >>> round(float(loss(features, -features)), 4)  # 2 (n - 1) / n, n = 32 positions
    1.9375

    Reference:
        Cao et al., "PKD: General Distillation Framework for Object Detectors via Pearson
        Correlation Coefficient", NeurIPS 2022, https://arxiv.org/abs/2207.02039
    """

    min_rank = 2
    weighs_cells = True

    def __init__(self, *, epsilon: float = 1e-6) -> None:
        self.epsilon = positive("epsilon", epsilon)

    def compute(self, teacher: Tensor, student: Tensor, mask: Tensor | None) -> Tensor:
        """Compute half the mean squared difference of the standardised tensors.

        Args:
            teacher: float32 tensor without gradient, (batch, ..., channels).
            student: float32 tensor of the same shape.
            mask: float32 weights on leading axes, or `None`.

        Returns:
            A float32 scalar.
        """
        # Deviations from a mean sum to 0, so the gradient along the means is 0.
        teacher, student = standardised(
            [teacher, student], mask, epsilon=self.epsilon, constant_means=True
        )
        return weighted_mean_square(student - teacher, mask) / 2

    def get_config(self) -> dict[str, Any]:
        return {"epsilon": self.epsilon}
