"""FocalGlobal: focal and global distillation of feature maps (FGD)."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_hkd.checks import in_range, positive
from keras_hkd.losses import positions
from keras_hkd.losses.attention import channel_attention, spatial_attention
from keras_hkd.losses.cell_weights import WeighsCells
from keras_hkd.losses.context_block import ContextBlock
from keras_hkd.losses.learnable_loss import LearnableLoss
from keras_hkd.replicas import global_ratio
from keras_hkd.tensors import Tensor

__all__ = ["FocalGlobal"]


@keras.saving.register_keras_serializable(package="keras_hkd")
class FocalGlobal(WeighsCells, LearnableLoss):
    """Computes the focal and global distillation loss (FGD).

    Foreground and background are weighted separately, positions and channels by the teacher's
    attention, and relations between all positions are compared as well. With the attention of a map
    F of n = h w positions and C channels at temperature t

        A^s = n softmax over positions of mean_c |F| / t
        A^c = C softmax over channels of mean_ij |F| / t

    `M_fg` of a cell the largest `1 / cells of b` over the boxes b that cover it (so that each
    person weighs about 1, whatever their size), `M_bg` 1 / number of background cells at background
    cells and 0 at people, and R a `ContextBlock` of teacher or student,

        loss = 1 / N * sum over images of
               alpha sum M_fg A^s_T A^c_T (T - S)^2  +  beta sum M_bg A^s_T A^c_T (T - S)^2
             + gamma ( |A^s_T - A^s_S|_1 + |A^c_T - A^c_S|_1 )
             + relation_weight sum (R_T(T) - R_S(S))^2

    A box covers the cells floor(x1 w / width) to ceil(x2 w / width), both included, and likewise in
    y; its number of cells includes those beyond the map. Sums grow with the map and the width, so
    the four weights belong to the input size that they were chosen for.

    The loss is 0 at a copy as long as the context blocks of teacher and student have equal output:
    they start as identities, and both are trained. With relation weight 0 no layer is trained.

    The call takes `teacher` and `student`, maps (batch, h, w, C) of one shape; `boxes`, (batch, n,
    4) xyxy pixels padded with -1; `image_size`, (height, width) in pixels of the images; and
    `mask`, weights (batch, ...) without the channels: positions of weight 0 are left out, and an
    image counts in N by the largest weight in it.

    Args:
        alpha: at least 0, weight of the foreground.
        beta: at least 0, weight of the background.
        gamma: at least 0, weight of the attention maps.
        relation_weight: at least 0, weight of the relations between positions.
        temperature: positive number t.

    Raises:
        ValueError: if a number is outside its range, or boxes or image size do not fit.
        TypeError: if there are no `boxes` or no `image_size`.

    Example:

    >>> teacher, student = ops.zeros((1, 2, 2, 1)), ops.ones((1, 2, 2, 1))
    >>> loss = FocalGlobal(relation_weight=0.0, beta=1.0, gamma=0.0)
    >>> nobody = -ops.ones((1, 3, 4))
    >>> round(float(loss(teacher, student, boxes=nobody, image_size=(16, 16))), 4)
    1.0

    Reference:
        Yang et al., "Focal and Global Knowledge Distillation for Detectors", CVPR 2022,
        https://arxiv.org/abs/2111.11837
    """

    needs = ("boxes", "image_size")
    compares = ("features",)
    min_rank = max_rank = 4

    def __init__(
        self,
        *,
        alpha: float = 1e-3,
        beta: float = 5e-4,
        gamma: float = 5e-4,
        relation_weight: float = 5e-6,
        temperature: float = 0.5,
    ) -> None:
        super().__init__()
        self.alpha = in_range("alpha", alpha)
        self.beta = in_range("beta", beta)
        self.gamma = in_range("gamma", gamma)
        self.relation_weight = in_range("relation_weight", relation_weight)
        self.temperature = positive("temperature", temperature)

    def make_layers(
        self, teacher_channels: int, student_channels: int
    ) -> dict[str, keras.layers.Layer]:
        if self.relation_weight == 0:
            return {}
        blocks = {}
        for role, channels in (("teacher", teacher_channels), ("student", student_channels)):
            blocks[f"{role}_context"] = ContextBlock(dtype="float32", name=f"{role}_context")
            blocks[f"{role}_context"].build((None, None, None, channels))
        return blocks

    def compute(  # type: ignore[override]
        self,
        teacher: Tensor,
        student: Tensor,
        mask: Tensor | None,
        boxes: Tensor,
        image_size: Sequence[int],
    ) -> Tensor:
        """Compute the sum of the four terms, divided by N.

        Args:
            teacher: float32 map without gradient, (batch, h, w, channels).
            student: float32 map of the same shape.
            mask: float32 weights on leading axes, or `None`.
            boxes: (batch, n, 4) xyxy pixels, padded with -1.
            image_size: (height, width) in pixels.

        Returns:
            A float32 scalar.

        Raises:
            ValueError: if boxes or image size do not fit.
        """
        size = ops.shape(teacher)[1:3]
        foreground = self.cell_weights(boxes, image_size, size, batch=teacher.shape[0])
        weights = positions.flat_weights(mask, student)
        foreground = ops.reshape(foreground, ops.shape(weights)) * weights
        background = ops.where(foreground > 0, 0.0, weights)
        counts = ops.sum(background, axis=1, keepdims=True)
        background = background / ops.where(counts > 0, counts, 1.0)
        focal = self.alpha * foreground + self.beta * background

        flat = [positions.flatten(x) for x in (teacher, student)]
        space = [spatial_attention(x, weights, self.temperature) for x in flat]
        channels = [channel_attention(x, weights, self.temperature) for x in flat]
        squares = ops.square(flat[0] - flat[1]) * channels[0][:, None, :]
        total = ops.sum(ops.sum(squares, axis=-1) * space[0] * focal)
        total += self.gamma * ops.sum(ops.abs(space[0] - space[1]) * weights)
        total += self.gamma * ops.sum(
            ops.abs(channels[0] - channels[1]) * positions.image_weights(weights)[:, None]
        )
        if self.relation_weight > 0:
            total += self.relation_weight * self._relation(teacher, student, weights)
        return global_ratio(total, ops.sum(positions.image_weights(weights)))

    def weights_near(
        self, boxes: Tensor, present: Tensor, image_size: Sequence[int], map_size: Any
    ) -> Tensor:
        return foreground_weights(boxes, present, image_size, map_size)

    def get_config(self) -> dict[str, Any]:
        return {
            "alpha": self.alpha,
            "beta": self.beta,
            "gamma": self.gamma,
            "relation_weight": self.relation_weight,
            "temperature": self.temperature,
        }

    def _relation(self, teacher: Tensor, student: Tensor, weights: Tensor) -> Tensor:
        shape = ops.shape(student)
        weights = ops.reshape(weights, (*shape[:3], 1))
        teacher = self.layers["teacher_context"](teacher, weights)
        student = self.layers["student_context"](student, weights)
        return ops.sum(ops.square(teacher - student) * weights)


def foreground_weights(
    boxes: Tensor, present: Tensor, image_size: Sequence[int], map_size: Any
) -> Tensor:
    """Compute the foreground weight of each cell of a map.

    Args:
        boxes: float32 (batch, n, 4) xyxy pixels.
        present: (batch, n) bool.
        image_size: (height, width) in pixels.
        map_size: (h, w) in cells.

    Returns:
        float32 (batch, h, w): the largest 1 / number of cells over the boxes that cover a cell.

    Example:

    >>> boxes = ops.array([[[0.0, 0.0, 8.0, 8.0]]])
    >>> weights = foreground_weights(boxes, ops.array([[True]]), (32.0, 32.0), (4, 4))
    >>> [float(x) for x in weights[0, 0]]  # cells 0 to 1 in both directions
    [0.25, 0.25, 0.0, 0.0]
    """
    covered, num_cells = [], 1.0
    for axis in (1, 0):  # rows from y, then columns from x
        cells, pixels = map_size[1 - axis], image_size[1 - axis]
        scale = ops.cast(cells, "float32")
        first = ops.floor(boxes[..., axis] * scale / pixels)
        last = ops.ceil(boxes[..., axis + 2] * scale / pixels)
        index = ops.arange(cells, dtype="float32")
        covered.append((index >= first[..., None]) & (index <= last[..., None]))
        num_cells = num_cells * (last - first + 1.0)
    shares = ops.where(present, 1.0 / ops.where(present, num_cells, 1.0), 0.0)
    inside = covered[0][..., :, None] & covered[1][..., None, :]
    return ops.max(ops.where(inside, shares[..., None, None], 0.0), axis=1, initial=0.0)
