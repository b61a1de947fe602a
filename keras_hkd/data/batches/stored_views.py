"""Determines which of the views that were prepared beforehand an epoch shows."""

from __future__ import annotations

import dataclasses

from keras_hkd import checks
from keras_hkd.tensors import Tensor


@dataclasses.dataclass(frozen=True)
class StoredViews:
    """A fixed number of views of every image; epoch e shows view e mod `count`.

    The views come from a seed of their own, so that runs of several seeds, which differ in the
    order of the images, share them.

    Args:
        count: views of each image.
        seed: whole number of at least 0 that they are drawn from.

    Raises:
        TypeError: an argument is no whole number.
        ValueError: there is no view, or the seed is below 0.

    Example:

    >>> StoredViews(count=4, seed=0).view_of(9)
    1
    """

    count: int
    seed: int = 0

    def __post_init__(self) -> None:
        checks.whole("count", self.count, low=1)
        checks.whole("seed", self.seed)

    def view_of(self, epoch: Tensor) -> Tensor:
        """Return the number of the view that an epoch shows, of plain numbers and of tensors."""
        return epoch % self.count
