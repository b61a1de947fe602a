"""LocalizationDistillation: divergence of the distributions of box edges (LD)."""

from typing import Any

import keras
from keras import ops

from keras_hkd.boxes.iou import pairwise_distance_iou
from keras_hkd.checks import in_range, positive
from keras_hkd.errors import InvalidValueError
from keras_hkd.losses.arguments import as_constant
from keras_hkd.losses.distillation_loss import DistillationLoss, blank
from keras_hkd.losses.divergences import softmax_divergence
from keras_hkd.replicas import expand_to_rank, weighted_mean
from keras_hkd.tensors import Shape, Tensor

__all__ = ["LocalizationDistillation"]


@keras.saving.register_keras_serializable(package="keras_hkd")
class LocalizationDistillation(DistillationLoss):
    """Computes the divergence between distributions of box edges (LD).

    It is for heads that predict each edge of a box as a distribution over bins (GFL; YOLOV8, whose
    64 numbers are 4 edges of 16 bins), and transfers the teacher's uncertainty about edges, for
    instance of occluded people. With q, p the softmax of teacher and student at temperature t, per
    anchor

        row = t^2 / (4 bins) sum over edges KL(q || p)
        loss = sum_i w_i row_i / sum w_i + valuable_weight sum_i v_i row_i / sum v_i

    w is the main region: the mask, which selects positive anchors, times `student_scores` if given.
    v is the valuable localization region, see `valuable_region`: anchors near people that are not
    positive. The mean over bins is that of the authors' code, whose weight for the term is 0.25.
    The loss is 0, with zero gradient, if the logits are equal up to a constant for each edge.

    The call takes `teacher` and `student`, logits (batch, anchors, 4, bins), or (batch, anchors,
    4 * bins), of one shape; `student_scores` and `valuable`, optional, (batch, anchors); and
    `mask`, weights (batch, anchors).

    Args:
        temperature: positive number t.
        valuable_weight: at least 0, weight of the valuable localization region.

    Raises:
        ValueError: if a number is outside its range, or there are not four distributions for each
            anchor.

    Example:

    >>> loss = LocalizationDistillation(temperature=1.0)
    >>> teacher = ops.tile(ops.array([2.0, 0.0]), (1, 1, 4, 1))
    >>> round(float(loss(teacher, ops.zeros((1, 1, 4, 2)))), 4)  # 0.3278 / 2 bins
    0.1639

    Reference:
        Zheng et al., "Localization Distillation for Dense Object Detection", CVPR 2022,
        https://arxiv.org/abs/2102.12252
    """

    uses = ("student_scores", "valuable")
    compares = ("bins",)
    min_rank = 3
    reads_masked = True

    def __init__(self, *, temperature: float = 10.0, valuable_weight: float = 1.0) -> None:
        self.temperature = positive("temperature", temperature)
        self.valuable_weight = in_range("valuable_weight", valuable_weight)

    def compute(
        self,
        teacher: Tensor,
        student: Tensor,
        mask: Tensor | None,
        student_scores: Tensor | None = None,
        valuable: Tensor | None = None,
    ) -> Tensor:
        """Compute the sum of the weighted means over both regions.

        Args:
            teacher: float32 logits without gradient, (batch, anchors, 4, bins) or flat.
            student: float32 logits of the same shape.
            mask: float32 weights (batch, anchors), or `None`.
            student_scores: (batch, anchors), or `None`.
            valuable: float32 weights (batch, anchors), or `None`.

        Returns:
            A float32 scalar.

        Raises:
            ValueError: if the logits are no distributions of four edges, or weights do not fit.
        """
        anchors = tuple(student.shape[:2])
        main = ops.ones_like(student[:, :, 0] if student.ndim == 3 else student[:, :, 0, 0])
        main = main if mask is None else main * expand_to_rank(_of_anchors(mask, anchors), 2)
        if student_scores is not None:
            main = main * as_constant("student_scores", student_scores, anchors)
        read = main
        if valuable is not None:
            valuable = as_constant("valuable", valuable, anchors)
            read = main + valuable
        teacher, student = (blank(_edges(x), read) for x in (teacher, student))
        rows = softmax_divergence(teacher / self.temperature, student / self.temperature)
        rows = ops.mean(rows, axis=-1) / student.shape[-1]
        loss = weighted_mean(rows, main)
        if valuable is not None:
            loss += self.valuable_weight * weighted_mean(rows, valuable)
        return self.temperature**2 * loss

    def get_config(self) -> dict[str, Any]:
        return {"temperature": self.temperature, "valuable_weight": self.valuable_weight}


def valuable_region(
    anchors: Tensor,
    boxes: Tensor,
    present: Tensor,
    *,
    threshold: float = 0.5,
    fraction: float = 0.25,
) -> Tensor:
    """Compute the weights of LD's second region: anchors near a person that are not positive.

    `fraction t <= DIoU < t`, with the person of the largest DIoU (`pairwise_distance_iou`).

    Args:
        anchors: (anchors, 4) xyxy pixels.
        boxes: (batch, n, 4) xyxy pixels of the people.
        present: (batch, n) bool.
        threshold: t, the DIoU from which an anchor counts as positive.
        fraction: fraction of the threshold at which the region begins.

    Returns:
        float32 weights (batch, anchors): the DIoU inside the region, 0 outside.

    Example:

    >>> anchors = ops.array([[0.0, 0.0, 4.0, 4.0], [9.0, 9.0, 13.0, 13.0]])
    >>> weights = valuable_region(anchors, ops.array([[[0.0, 0.0, 2.0, 4.0]]]), [[True]])
    >>> [round(float(weight), 4) for weight in weights[0]]  # 1 / 2 - 1 / 32
    [0.4688, 0.0]
    """
    diou = pairwise_distance_iou(anchors[None], ops.cast(boxes, "float32"), xp=ops)
    present = ops.convert_to_tensor(present)[:, None, :]
    best = ops.max(ops.where(present, diou, -1.0), axis=-1, initial=-1.0)
    inside = (best >= fraction * threshold) & (best < threshold)
    return ops.stop_gradient(ops.where(inside, best, 0.0))


def _of_anchors(mask: Tensor, anchors: Shape) -> Tensor:
    if mask.ndim > 2:
        raise InvalidValueError(
            f"LocalizationDistillation takes a mask of anchors {anchors}. "
            f"Received: mask of shape {tuple(mask.shape)}."
        )
    return mask


def _edges(logits: Tensor) -> Tensor:
    """Reshape logits to (batch, anchors, 4, bins)."""
    shape = tuple(logits.shape)
    if len(shape) == 3 and shape[-1] % 4 == 0 and shape[-1] >= 8:
        return ops.reshape(logits, (*ops.shape(logits)[:2], 4, shape[-1] // 4))
    if len(shape) == 4 and shape[2] == 4 and shape[3] >= 2:
        return logits
    raise InvalidValueError(
        "LocalizationDistillation needs a distribution over at least two bins for each of the four "
        "edges: logits (batch, anchors, 4, bins) or (batch, anchors, 4 * bins). Received: shape "
        f"{shape}. A head that gives four numbers is compared with GIoU or FeatureImitation."
    )
