"""Subset: the people that count in a score; all others are ignored, not removed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from keras_hkd.metrics.ground_truth import GroundTruth


@dataclasses.dataclass(frozen=True)
class Subset:
    """A range of heights and visibilities; people outside it become ignore regions.

    Args:
        name: name of the subset, such as "reasonable".
        min_height_px: people lower than this are ignored.
        max_height_px: people higher than this are ignored.
        min_visibility: people with a smaller visible share are ignored.
        max_visibility: people with a larger visible share are ignored.
        occlusion_levels: KAIST's levels that count; all if None.
        images: "all", or "day" or "night" (KAIST).

    Example:

    >>> Subset("reasonable", min_height_px=50, min_visibility=0.65).max_height_px
    inf
    """

    name: str
    min_height_px: float = 0.0
    max_height_px: float = math.inf
    min_visibility: float = 0.0
    max_visibility: float = math.inf
    occlusion_levels: tuple[int, ...] | None = None
    images: str = "all"

    def ignored(
        self,
        ground_truth: GroundTruth,
        bounds: Sequence[float] | None = None,
        include_max: bool = True,
    ) -> np.ndarray:
        """Find the boxes that are ignored, by their own flag or as they are not in the subset.

        Args:
            ground_truth: n boxes.
            bounds: `(left, top, right, bottom)` in pixels; boxes that extend beyond are ignored.
            include_max: whether a person exactly `max_height_px` high counts.

        Returns:
            `(n,)` bool.
        """
        heights, visibility = ground_truth.heights, ground_truth.visibility
        too_high = heights > self.max_height_px if include_max else heights >= self.max_height_px
        ignored = ground_truth.ignore | (heights < self.min_height_px) | too_high
        ignored |= (visibility < self.min_visibility) | (visibility > self.max_visibility)
        if self.occlusion_levels is not None:
            ignored |= ~np.isin(ground_truth.occlusion, self.occlusion_levels)
        if bounds is not None:
            left, top, width, height = ground_truth.boxes.T
            ignored |= (left < bounds[0]) | (top < bounds[1])
            ignored |= (left + width > bounds[2]) | (top + height > bounds[3])
        return ignored

    def keeps_height(self, heights: np.ndarray, tolerance: float) -> np.ndarray:
        """Find the detections whose height is in the range, widened by a tolerance.

        Without this, detections of people that the subset ignores would be false positives.

        Args:
            heights: `(n,)` heights of detections in pixels.
            tolerance: factor by which the range is widened on both sides.

        Returns:
            `(n,)` bool.
        """
        return (heights >= self.min_height_px / tolerance) & (
            heights < self.max_height_px * tolerance
        )
