"""What the doctor examines: a pair, its images, and figures that several checks read."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_hkd.errors import InvalidValueError
from keras_hkd.training.settings import TrainingSettings

if TYPE_CHECKING:
    from keras_hkd.data import Dataset

NUM_BATCHES = 4


@dataclasses.dataclass(eq=False)
class Case:
    """A pair of detectors and its images.

    What is costly is computed once, when a check first asks for it.

    Args:
        teacher: the teacher, or None where none runs.
        student: the student.
        dataset: all training images.
        settings: how training will be.
        test: the images to measure on, or None.
        teacher_cache: a `TeacherCache`, or None.
        given_distiller: the user's own `Distiller`, or None for `Distiller(teacher, student)`.
        num_images: how many images the models run on.
        out: folder for pictures, or None.

    Raises:
        ValueError: there is no image.
    """

    teacher: Any
    student: Any
    dataset: Dataset
    settings: TrainingSettings
    test: Any = None
    teacher_cache: Any = None
    given_distiller: Any = None
    num_images: int = 64
    out: Path | None = None

    def __post_init__(self) -> None:
        if not len(self.dataset):
            raise InvalidValueError("The doctor needs labelled images. Received: none")

    @property
    def image_size(self) -> tuple[int, int]:
        """`(height, width)` in pixels of the training."""
        return self.settings.image_size

    @property
    def teacher_size(self) -> tuple[int, int]:
        """`(height, width)` in pixels at which the first teacher sees the images."""
        sizes = getattr(self.given_distiller, "teacher_sizes", None) or [None]
        return sizes[0] or self.image_size

    @property
    def size_text(self) -> str:
        """The size of the training for people, such as "320x320"."""
        return "x".join(map(str, self.image_size))

    @functools.cached_property
    def images(self) -> Dataset:
        """The images that models run on: evenly over all those with a label."""
        labelled = [i for i, one in enumerate(self.dataset) if (~one.ignore).any()]
        places: Any = labelled or range(len(self.dataset))
        count = min(self.num_images, len(places))
        return self.dataset.select(
            [places[i] for i in np.linspace(0, len(places) - 1, count).round().astype(int)]
        )

    @functools.cached_property
    def truth(self) -> Any:
        """`GroundTruth` of `images`."""
        from keras_hkd.metrics import as_ground_truth

        return as_ground_truth(self.images)

    @functools.cached_property
    def teacher_found(self) -> list[dict]:
        """COCO results of the teacher in `images`, at the size at which it sees them."""
        return self.found_by(self.teacher, image_size=self.teacher_size)

    @functools.cached_property
    def student_found(self) -> list[dict]:
        """COCO results of the student in `images`."""
        return self.found_by(self.student)

    def found_by(
        self, detector: Any, images: Any = None, image_size: tuple[int, int] | None = None
    ) -> list[dict]:
        """Detect.

        Args:
            detector: what detects.
            images: a dataset; `images` if None.
            image_size: `(height, width)` in pixels; that of the training if None.

        Returns:
            COCO results.
        """
        from keras_hkd.evaluation import predict_dataset

        images = self.images if images is None else images
        return predict_dataset(detector, images, image_size or self.image_size, progress=False)

    @functools.cached_property
    def teacher_scores(self) -> dict[str, float]:
        """COCO's average precision of the teacher in `images`; see `coco_average_precision`."""
        from keras_hkd.metrics import coco_average_precision

        return coco_average_precision(self.truth, self.teacher_found)

    @functools.cached_property
    def student_scores(self) -> dict[str, float]:
        """COCO's average precision of the student in `images`."""
        from keras_hkd.metrics import coco_average_precision

        return coco_average_precision(self.truth, self.student_found)

    @property
    def teacher_sees(self) -> bool:
        """Whether the teacher finds enough people for its detections to say anything."""
        return self.teacher is not None and self.teacher_scores["AP50"] >= 0.05

    @functools.cached_property
    def distiller(self) -> Any:
        """The `Distiller` of the training."""
        from keras_hkd.distillation import Distiller

        return self.given_distiller or Distiller(self.teacher, self.student)

    @functools.cached_property
    def batches(self) -> list[tuple[Any, Any]]:
        """A few training batches of `images`: pairs of images and labels, as arrays."""
        from keras_hkd.training.batches import run_batches

        cache = getattr(self.given_distiller, "teacher_cache", None)
        images, settings = self.dataset, self.settings
        if cache is None:  # whose batches are of all images, in the training's size
            images = self.images
            size = max(1, min(settings.batch_size, 8, len(images)))
            settings = dataclasses.replace(settings, batch_size=size, cache="none")
        made = run_batches(images, settings, 0, cache)
        return [
            keras.tree.map_structure(np.asarray, batch)
            for batch in itertools.islice(iter(made), NUM_BATCHES)
        ]

    def picture(self, name: str) -> Path | None:
        """Return where a check may write a picture, None if nothing is to be written.

        Args:
            name: name of the file.
        """
        return None if self.out is None else self.out / name
