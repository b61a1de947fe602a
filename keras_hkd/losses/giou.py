"""GIoU: generalised intersection over union of decoded boxes."""

import keras
from keras import ops

from keras_hkd.boxes.iou import generalized_iou
from keras_hkd.errors import InvalidValueError
from keras_hkd.losses.arguments import as_constant, over_positives
from keras_hkd.losses.distillation_loss import DistillationLoss
from keras_hkd.replicas import expand_to_rank, global_ratio
from keras_hkd.tensors import Tensor

__all__ = ["GIoU"]


@keras.saving.register_keras_serializable(package="keras_hkd")
class GIoU(DistillationLoss):
    """Computes the generalised IoU loss between decoded boxes.

    `loss = sum_i w_i (1 - GIoU(S_i, T_i)) / N`, with
    `GIoU = IoU - (hull - union) / hull`, hull the smallest box around both: between 0 and 2.
    w_i is the mask times `teacher_scores`, the teacher's best class score, if they are given, so
    that boxes of low score count little. N is the number of `positives` (at least 1) if they are
    given, as published, and otherwise the sum of the weights. The loss is 0 if the boxes are equal,
    where it is not differentiable.

    The call takes `teacher` and `student`, boxes (batch, ..., 4) xyxy in one unit (pixels);
    `teacher_scores` and `positives`, optional, (batch, ...); and `mask`, weights on the leading
    axes without the coordinates. Boxes without area have IoU 0.

    Raises:
        ValueError: if the last axis is not 4; raw box outputs have to be decoded first.

    Example:

    >>> boxes = ops.array([[[0.0, 0.0, 2.0, 2.0]]])
    >>> round(float(GIoU()(boxes, boxes + ops.array([1.0, 0.0, 1.0, 0.0]))), 4)  # 1 - 2 / 6
    0.6667

    Reference:
        Rezatofighi et al., "Generalized Intersection over Union", CVPR 2019,
        https://arxiv.org/abs/1902.09630; as a distillation term: https://arxiv.org/abs/2306.11369
    """

    uses = ("teacher_scores", "positives")
    compares = ("boxes",)
    min_rank = 2

    def check_channels(self, num_channels: int) -> None:
        if num_channels != 4:
            raise InvalidValueError(
                "GIoU compares decoded boxes (batch, ..., 4) in xyxy pixels. Received: a last axis "
                f"of {num_channels}. Decode them first, or use LocalizationDistillation for "
                "distributions over bins."
            )

    def compute(
        self,
        teacher: Tensor,
        student: Tensor,
        mask: Tensor | None,
        teacher_scores: Tensor | None = None,
        positives: Tensor | None = None,
    ) -> Tensor:
        """Compute the weighted sum of `1 - GIoU`, divided by N.

        Args:
            teacher: float32 boxes without gradient, (batch, ..., 4) xyxy.
            student: float32 boxes of the same shape.
            mask: float32 weights on leading axes, or `None`.
            teacher_scores: (batch, ...) in [0, 1], or `None`.
            positives: booleans (batch, ...), or `None`.

        Returns:
            A float32 scalar.

        Raises:
            ValueError: if the shape of an argument does not fit.
        """
        rows = 1.0 - generalized_iou(teacher, student, xp=ops)
        weights = ops.ones_like(rows)
        if mask is not None:
            weights = weights * expand_to_rank(mask, rows.ndim)
        if teacher_scores is not None:
            weights *= as_constant("teacher_scores", teacher_scores, tuple(rows.shape))
        total = ops.sum(rows * weights)
        if positives is not None:
            return over_positives(total, positives, tuple(rows.shape))
        return global_ratio(total, ops.sum(weights))
