"""ChannelWiseDivergence: divergence of each channel's distribution over positions (CWD)."""

from typing import Any

import keras
from keras import ops

from keras_hkd.checks import positive
from keras_hkd.losses import positions
from keras_hkd.losses.distillation_loss import DistillationLoss
from keras_hkd.replicas import weighted_mean
from keras_hkd.tensors import Tensor

__all__ = ["ChannelWiseDivergence"]


@keras.saving.register_keras_serializable(package="keras_hkd")
class ChannelWiseDivergence(DistillationLoss):
    """Computes the divergence between channels, each seen as a distribution over positions (CWD).

    The softmax emphasises the peaks of a channel over the background. With `q`, `p` the softmax of
    `T / t` and `S / t` over the positions of one channel of one image,

        loss = t^2 / (N C) sum_n sum_c KL(q_nc || p_nc)

    The loss is 0, with zero gradient, if the maps are equal up to a constant for each channel;
    scaling a channel changes it. Published weights of the term: 10 with five pyramid levels, 5 with
    four.

    The call takes `teacher` and `student`, tensors (batch, ..., channels) of one shape, and `mask`,
    weights on their leading axes without the channels: positions of weight 0 are left out, those of
    weight 2 count as two, and an image counts by the largest weight in it.

    Args:
        temperature: positive number t that divides the features of both.

    Raises:
        ValueError: if the temperature is not positive.

    Example:

    >>> loss = ChannelWiseDivergence()
    >>> teacher, student = ops.array([[[2.0], [0.0]]]), ops.zeros((1, 2, 1))
    >>> round(float(loss(teacher, student)), 4)
    0.3278

    Reference:
        Shu et al., "Channel-wise Knowledge Distillation for Dense Prediction", ICCV 2021,
        https://arxiv.org/abs/2011.13256
    """

    min_rank = 3
    weighs_cells = True

    def __init__(self, *, temperature: float = 1.0) -> None:
        self.temperature = positive("temperature", temperature)

    def compute(self, teacher: Tensor, student: Tensor, mask: Tensor | None) -> Tensor:
        """Compute the mean over images and channels of the divergence over positions.

        Args:
            teacher: float32 tensor without gradient, (batch, ..., channels).
            student: float32 tensor of the same shape.
            mask: float32 weights on leading axes, or `None`.

        Returns:
            A float32 scalar.
        """
        weights = positions.flat_weights(mask, student)
        teacher, student = (
            positions.log_softmax(positions.flatten(features) / self.temperature, weights)
            for features in (teacher, student)
        )
        divergence = ops.sum(ops.exp(teacher) * (teacher - student), axis=1)
        loss = weighted_mean(divergence, positions.image_weights(weights))
        return self.temperature**2 * loss

    def get_config(self) -> dict[str, Any]:
        return {"temperature": self.temperature}
