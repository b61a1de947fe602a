"""PearsonCorrelation: features compared up to the scale and offset of each channel (PKD)."""

import keras
from keras import ops

from keras_hkd.losses.checks import positive
from keras_hkd.losses.distillation_loss import DistillationLoss
from keras_hkd.replicas import expand_to_rank, sum_over_replicas, weighted_mean


@keras.saving.register_keras_serializable(package="keras_hkd")
class PearsonCorrelation(DistillationLoss):
    """The student's channels shall vary like the teacher's, whatever their scale: suits any pair.

    Each channel of both tensors is standardised over the batch and all positions, with the unbiased
    deviation (n - 1): `X' = (X - mean) / (deviation + epsilon)`, and

        loss = mean((S' - T')^2) / 2

    which is (1 - r) (n - 1) / n, r being Pearson's correlation, averaged over channels: between 0
    and 2. It does not change when a channel is scaled by a positive factor or shifted.

    With a mask the mean, the deviation and the final mean are weighted by it; masking a position is
    the same as removing it. Under `tf.distribute` the statistics are those of the whole batch. A
    channel whose deviation is at most `epsilon` counts as constant: it becomes 0 and passes no
    gradient (it would be of the size of 1 / epsilon).

    The call takes `teacher` and `student`, tensors (batch, ..., channels) of one shape, and `mask`,
    weights on their leading axes without the channels; see `DistillationLoss`, also for the errors.

    Args:
        epsilon: small positive number, added to the deviation; in the unit of the features.

    Raises:
        ValueError: `epsilon` is not positive.

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
    masks_channels = False

    def __init__(self, *, epsilon=1e-6):
        self.epsilon = positive("epsilon", epsilon)

    def compute(self, teacher, student, mask):
        """Half the mean squared difference of the standardised tensors.

        Args:
            teacher: float32 tensor without gradient, (batch, ..., channels).
            student: float32 tensor of the same shape.
            mask: float32 weights on leading axes, or `None`.

        Returns:
            A float32 scalar.
        """
        teacher, student = self._standardise((teacher, student), mask)
        return weighted_mean(ops.square(student - teacher), mask) / 2

    def get_config(self):
        return {"epsilon": self.epsilon}

    def _standardise(self, tensors, mask):
        """Both tensors at once, so that replicas exchange their statistics in few messages."""
        weights = ops.ones_like(tensors[0][..., :1])
        if mask is not None:
            weights = weights * expand_to_rank(mask, tensors[0].ndim)

        def sums(xs):
            xs = xs if mask is None else [x * weights for x in xs]
            return sum_over_replicas(ops.stack([_sum_by_channel(x) for x in xs]))

        total, squares = ops.unstack(
            sum_over_replicas(ops.stack([ops.sum(weights), ops.sum(ops.square(weights))]))
        )
        # Deviations from a mean sum to 0, so the loss has no slope along the means: stopping their
        # gradient changes nothing but the time of a step, which it halves.
        # Centred twice: the rounding of the first mean would make a constant channel vary.
        centred = tensors
        for _ in range(2):
            means = ops.unstack(ops.stop_gradient(sums(centred) / _positive_or_one(total)), 2)
            centred = [x - mean for x, mean in zip(centred, means, strict=True)]
        # For weights 0 and 1 this is n - 1; it does not depend on the scale of the weights.
        freedom = total - squares / _positive_or_one(total)
        variances = sums([ops.square(x) for x in centred]) / _positive_or_one(freedom)
        return [x * scale for x, scale in zip(centred, self._scales(variances), strict=True)]

    def _scales(self, variances):
        varies = variances > self.epsilon**2
        deviations = ops.sqrt(ops.where(varies, variances, 1.0))
        return ops.unstack(ops.where(varies, 1.0 / (deviations + self.epsilon), 0.0), 2)


def _sum_by_channel(x):
    # Axis by axis: rounding grows with the longest axis instead of the number of positions.
    for _ in range(x.ndim - 1):
        x = ops.sum(x, axis=0)
    return x


def _positive_or_one(x):
    return ops.where(x > 0, x, 1.0)
