"""WeighsCells: what losses share that choose cells of a map by the boxes of people."""

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_hkd import checks
from keras_hkd.losses.arguments import as_boxes
from keras_hkd.tensors import Tensor


class WeighsCells:
    """Part of losses that weigh the cells of a map by where people are.

    Subclasses implement `weights_near(boxes, present, image_size, map_size)`.
    """

    def cell_weights(
        self, boxes: Tensor, image_size: Sequence[int], map_size: Any, batch: int | None = None
    ) -> Tensor:
        """Compute the weight of each cell, 0 where the loss looks at no person.

        Args:
            boxes: (batch, n, 4) xyxy pixels, padded with -1.
            image_size: (height, width) in pixels.
            map_size: (h, w) in cells.
            batch: number of images, `None` if unknown.

        Returns:
            float32 (batch, h, w).

        Raises:
            ValueError: if boxes or image size do not fit.
        """
        boxes, present = as_boxes(boxes, batch)
        image_size = checks.image_size("image_size", image_size)
        weights = self.weights_near(boxes, present, image_size, map_size)
        return ops.reshape(weights, (-1, map_size[0], map_size[1]))

    def weights_near(
        self, boxes: Tensor, present: Tensor, image_size: Sequence[int], map_size: Any
    ) -> Tensor:
        """Compute the weights; implemented by subclasses.

        Args:
            boxes: float32 (batch, n, 4) xyxy pixels.
            present: (batch, n) bool, False for padding.
            image_size: (height, width) in pixels.
            map_size: (h, w) in cells.

        Returns:
            float32 (batch, h, w).

        Raises:
            NotImplementedError: in the base class.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement `weights_near`.")
