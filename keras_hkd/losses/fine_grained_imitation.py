"""FineGrainedImitation: squared difference of features near labelled people (FGFI)."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_hkd.boxes.iou import area
from keras_hkd.checks import in_range, one_of, positive, several
from keras_hkd.errors import InvalidValueError
from keras_hkd.losses import positions
from keras_hkd.losses.cell_weights import WeighsCells
from keras_hkd.losses.learnable_loss import LearnableLoss
from keras_hkd.replicas import global_ratio
from keras_hkd.tensors import Tensor

__all__ = ["FineGrainedImitation"]

ADAPTERS = ("conv_relu", "conv", "none")


@keras.saving.register_keras_serializable(package="keras_hkd")
class FineGrainedImitation(WeighsCells, LearnableLoss):
    """Computes the squared difference of features at cells near people (FGFI).

    A cell counts, `I = 1`, if for some person one of its anchors has
    `IoU > threshold * the best IoU of any anchor of this map with that person`. With N_I the number
    of such cells in the batch and phi the adapter,

        loss = 1 / (2 N_I) sum over cells I sum_c (phi(S) - T)^2

    Every person that some anchor touches selects at least one cell; without people the loss is 0.
    Published weight of the term: 0.01, and 0 for the first 400 steps.

    The call takes `teacher` and `student`, maps (batch, h, w, channels); `boxes`, (batch, n, 4)
    xyxy pixels padded with -1; `image_size`, (height, width) in pixels; and `mask`, weights of the
    cells (batch, ...) without the channels.

    Args:
        threshold: in [0, 1), fraction of the best IoU.
        anchor_scales: sides of the square anchors, in strides of the map.
        aspect_ratios: ratios of height to width of the anchors, at equal area.
        adapter: phi, which also bridges different widths: "conv_relu", a 3x3 convolution and ReLU
            as published, for features after a ReLU; "conv", a 3x3 convolution, for pyramid maps of
            both signs; "none" for no adapter.

    Raises:
        ValueError: if a number is outside its range, the adapter is unknown, boxes or image size do
            not fit, or widths differ without an adapter.
        TypeError: if there are no `boxes` or no `image_size`.

    Example:

    >>> teacher, student = ops.zeros((1, 8, 8, 3)), ops.ones((1, 8, 8, 3))
    >>> boxes = ops.array([[[8.0, 8.0, 40.0, 40.0]]])
    >>> loss = FineGrainedImitation(adapter="none")
    >>> float(loss(teacher, student, boxes=boxes, image_size=(64, 64)))  # 3 channels / 2
    1.5

    Reference:
        Wang et al., "Distilling Object Detectors with Fine-grained Feature Imitation", CVPR 2019,
        https://arxiv.org/abs/1906.03609
    """

    needs = ("boxes", "image_size")
    compares = ("features",)
    min_rank = max_rank = 4
    weighs_cells = True

    def __init__(
        self,
        *,
        threshold: float = 0.5,
        anchor_scales: Sequence[float] = (4.0, 5.04, 6.35),
        aspect_ratios: Sequence[float] = (0.5, 1.0, 2.0),
        adapter: str = "conv_relu",
    ) -> None:
        super().__init__()
        self.threshold = in_range("threshold", threshold, high=1.0)
        self.anchor_scales = several("anchor_scales", anchor_scales, positive)
        self.aspect_ratios = several("aspect_ratios", aspect_ratios, positive)
        self.adapter = one_of("adapter", adapter, ADAPTERS)
        self.needs_equal_channels = self.adapter == "none"
        if self.threshold == 1 or not self.anchor_scales or not self.aspect_ratios:
            raise InvalidValueError(
                "FineGrainedImitation needs a threshold below 1 and at least one anchor scale and "
                f"aspect ratio. Received: threshold={threshold}, anchor_scales={anchor_scales}, "
                f"aspect_ratios={aspect_ratios}."
            )

    def make_layers(
        self, teacher_channels: int, student_channels: int
    ) -> dict[str, keras.layers.Layer]:
        if self.adapter == "none":
            return {}
        adapter = keras.layers.Conv2D(
            teacher_channels,
            3,
            padding="same",
            activation="relu" if self.adapter == "conv_relu" else None,
            dtype="float32",
            name="adapter",
        )
        adapter.build((None, None, None, student_channels))
        return {"adapter": adapter}

    def compute(  # type: ignore[override]
        self,
        teacher: Tensor,
        student: Tensor,
        mask: Tensor | None,
        boxes: Tensor,
        image_size: Sequence[int],
    ) -> Tensor:
        """Compute the sum over the cells near people, divided by twice their number.

        Args:
            teacher: float32 map without gradient, (batch, h, w, channels).
            student: float32 map (batch, h, w, channels).
            mask: float32 weights on leading axes, or `None`.
            boxes: (batch, n, 4) xyxy pixels, padded with -1.
            image_size: (height, width) in pixels.

        Returns:
            A float32 scalar.

        Raises:
            ValueError: if boxes or image size do not fit.
        """
        size = ops.shape(teacher)[1:3]
        near = self.cell_weights(boxes, image_size, size, batch=teacher.shape[0])
        if self.adapter != "none":
            student = self.layers["adapter"](student)
        weights = ops.reshape(near, (-1, size[0] * size[1])) * positions.flat_weights(mask, student)
        squares = ops.sum(positions.flatten(ops.square(student - teacher)), axis=-1)
        return global_ratio(ops.sum(squares * weights) / 2.0, ops.sum(weights))

    def get_config(self) -> dict[str, Any]:
        return {
            "threshold": self.threshold,
            "anchor_scales": self.anchor_scales,
            "aspect_ratios": self.aspect_ratios,
            "adapter": self.adapter,
        }

    def weights_near(
        self, boxes: Tensor, present: Tensor, image_size: Sequence[int], map_size: Any
    ) -> Tensor:
        """Compute I, 1 for the cells near people at which maps are compared."""
        shapes = self._anchor_shapes(image_size, map_size)

        def overlap_with(shape: tuple[Tensor, Tensor]) -> Tensor:
            return _overlap(boxes, present, shape, image_size, map_size)

        best = 0.0
        for shape in shapes:
            overlap = overlap_with(shape)
            best = ops.maximum(best, ops.max(overlap, axis=(2, 3), keepdims=True, initial=0.0))
        near = 0.0
        for shape in shapes:
            # Recomputed rather than kept: for all shapes together it would be the largest tensor.
            overlap = overlap_with(shape)
            counts = ops.cast((overlap > self.threshold * best) & (overlap > 0), "float32")
            near = ops.maximum(near, ops.max(counts, axis=1, initial=0.0))
        return near

    def _anchor_shapes(
        self, image_size: Sequence[int], map_size: Any
    ) -> list[tuple[Tensor, Tensor]]:
        """Compute (height, width) in pixels of the anchors of each cell."""
        steps = _steps(image_size, map_size)
        stride = ops.sqrt(steps[0] * steps[1])
        return [
            (stride * scale * ratio**0.5, stride * scale / ratio**0.5)
            for scale in self.anchor_scales
            for ratio in self.aspect_ratios
        ]


def _steps(image_size: Sequence[int], map_size: Any) -> list[Tensor]:
    """Compute the pixels between neighbouring cells, vertically and horizontally."""
    return [
        pixels / ops.cast(cells, "float32")
        for pixels, cells in zip(image_size, map_size, strict=True)
    ]


def _overlap(
    boxes: Tensor,
    present: Tensor,
    shape: tuple[Tensor, Tensor],
    image_size: Sequence[int],
    map_size: Any,
) -> Tensor:
    """Compute the IoU (batch, n, h, w) of boxes with the anchors of one shape; 0 for padding.

    On a grid of equal anchors the overlaps of rows and of columns are independent, so only the
    result has an entry for each cell.
    """
    shared = []
    for axis, (step, cells) in enumerate(zip(_steps(image_size, map_size), map_size, strict=True)):
        centres = (ops.arange(cells, dtype="float32") + 0.5) * step
        first, last = centres - shape[axis] / 2.0, centres + shape[axis] / 2.0
        low, high = boxes[..., 1 - axis, None], boxes[..., 3 - axis, None]
        shared.append(ops.maximum(ops.minimum(high, last) - ops.maximum(low, first), 0.0))
    intersection = shared[0][..., :, None] * shared[1][..., None, :]
    areas = area(boxes, xp=ops) + shape[0] * shape[1]
    union = areas[..., None, None] - intersection
    return ops.where(present[..., None, None], intersection / union, 0.0)
