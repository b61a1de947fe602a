"""Two streams of training images in turn: labelled ones, and these with pseudo-labelled ones."""

from __future__ import annotations

import dataclasses
import hashlib

from keras_hkd.data.dataset import Dataset
from keras_hkd.errors import InvalidValueError


@dataclasses.dataclass(frozen=True, eq=False)
class SemiSupervisedDataset:
    """What `training_batches` reads alternately: a batch of labelled images, a batch of all.

    Batches 0, 2, 4, ... of an epoch are one pass over the labelled images, each at most once.
    Batches 1, 3, 5, ... come from all images, labelled and pseudo-labelled, in passes of their own
    that run on from epoch to epoch. An epoch is thus twice as long as one of `labelled`.

    Args:
        labelled: images with labels.
        pseudo_labelled: images with labels that a teacher gave them.

    Raises:
        ValueError: the class names differ, or one of the two is empty.
        BadDataError: an image file is in both.

    Attributes:
        images: all images, the labelled ones first.

    Example:

    >>> from keras_hkd.data.annotations import ImageAnnotation
    >>> images = [ImageAnnotation("", i, 64, 48, [[1, 2, 11, 32]], [0]) for i in (1, 2)]
    >>> day, night = (Dataset((image,), ("person",), "", "") for image in images)
    >>> len(SemiSupervisedDataset(day, night).images)
    2
    """

    labelled: Dataset
    pseudo_labelled: Dataset
    images: Dataset = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        for name in ("labelled", "pseudo_labelled"):
            if not len(getattr(self, name)):
                raise InvalidValueError(f"`{name}` must hold at least one image. Received: none")
        images = Dataset.merge([self.labelled, self.pseudo_labelled])
        object.__setattr__(self, "images", images)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes of both."""
        return self.images.class_names

    @property
    def source(self) -> str:
        """Where the images came from."""
        return self.images.source

    @property
    def content_hash(self) -> str:
        """SHA-256 over both sets; see `Dataset.content_hash`."""
        parts = (self.labelled.content_hash, self.pseudo_labelled.content_hash)
        return hashlib.sha256("+".join(parts).encode()).hexdigest()
