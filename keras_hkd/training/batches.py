"""Makes the training batches of a run, for detectors and for classifiers."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_hkd.data import (
    Augmentation,
    ClassificationDataset,
    DataWarning,
    classification_training_batches,
    training_batches,
)
from keras_hkd.data.annotations import ImageAnnotation
from keras_hkd.data.batches.classification_batches import CLASSIFICATION_AUGMENTATION
from keras_hkd.data.batches.label_table import letterbox_scales
from keras_hkd.data.batches.semi_supervised import SemiSupervisedDataset
from keras_hkd.data.classes import canonical
from keras_hkd.data.dataset import Dataset
from keras_hkd.errors import InvalidValueError
from keras_hkd.evaluation.classifier_scores import check_same_classes
from keras_hkd.messages import stack_level_of_caller
from keras_hkd.training.settings import TrainingSettings

if TYPE_CHECKING:
    import keras

    from keras_hkd.teacher_cache.cache import TeacherCache


_MANY_SMALL = 0.2


def run_batches(
    dataset: Dataset | ClassificationDataset,
    settings: TrainingSettings,
    first_epoch: int,
    teacher_cache: TeacherCache | None = None,
    share: tuple[int, int] = (0, 1),
) -> Any:
    """Make the endless stream of training batches from an epoch on.

    Args:
        dataset: a `Dataset` of boxes, or a `ClassificationDataset`.
        settings: `TrainingSettings`.
        first_epoch: epoch to begin with.
        teacher_cache: a `TeacherCache` whose outputs the labels are to carry, or None.
        share: `(index, count)`: which rows of every batch this process reads.
    """
    shared: dict[str, Any] = {
        "image_size": settings.image_size,
        "batch_size": settings.batch_size,
        "seed": settings.seed,
        "first_epoch": first_epoch,
        "cache": settings.cache,
        "cache_folder": settings.cache_folder,
        "share": share,
    }
    if isinstance(dataset, ClassificationDataset):
        augmentation = CLASSIFICATION_AUGMENTATION if settings.augment else None
        return classification_training_batches(dataset, augmentation=augmentation, **shared)
    augmentation = _augmentation(settings)
    batches = training_batches if teacher_cache is None else teacher_cache.training_batches
    return batches(dataset, augmentation=augmentation, ignore_regions=True, **shared)


def _augmentation(settings: TrainingSettings) -> Augmentation | None:
    """Return how the images of detectors vary in a run."""
    if not settings.augment:
        return None
    return Augmentation(
        mosaic=settings.mosaic,
        mixup=settings.mixup,
        copy_paste=settings.copy_paste,
        mixed_epochs=max(0, settings.epochs - settings.mosaic_off_epochs),
        sizes=settings.sizes or (),
    )


def check_cache(
    teacher_cache: TeacherCache | None,
    dataset: Dataset | ClassificationDataset,
    settings: TrainingSettings,
) -> None:
    """Refuse a teacher cache that was not built for these images and settings.

    Args:
        teacher_cache: a `TeacherCache`, or None.
        dataset: the training images.
        settings: `TrainingSettings`.

    Raises:
        CacheError: with what differs.
    """
    if teacher_cache is not None:
        teacher_cache.require_pipeline(dataset, settings.image_size, _augmentation(settings))


def check_mixing(
    model: keras.Model, dataset: Dataset | ClassificationDataset, settings: TrainingSettings
) -> None:
    """Refuse settings that mix whole-image classes, or sizes that the model cannot see.

    Args:
        model: a `Detector`, a `Classifier` or a `Distiller`.
        dataset: the training images.
        settings: `TrainingSettings`.

    Raises:
        ValueError: with what does not go together.
    """
    if isinstance(dataset, ClassificationDataset) and settings.mixing:
        raise InvalidValueError(
            "Images with one class each are not mixed, and keep one size: leave mosaic, mixup, "
            f"copy_paste and sizes out. Received: {settings.mixing}"
        )
    learner = getattr(model, "learner", model)
    for size in settings.sizes or ():
        if hasattr(learner, "check_image_size"):
            learner.check_image_size(size)


def check_fits(model: keras.Model, dataset: Dataset | ClassificationDataset) -> None:
    """Refuse, before hours are spent, a dataset that is not of the model's kind or classes.

    Args:
        model: a `Detector`, a `Classifier` or a `Distiller`.
        dataset: training or validation images.

    Raises:
        ValueError: boxes for a classifier, classes of whole images for a detector, or classes other
            than the classifier's.
    """
    learner = getattr(model, "learner", model)
    kind = getattr(learner, "kind", None)
    if kind is None:
        return
    has_classes = isinstance(dataset, ClassificationDataset)
    if has_classes != (kind == "classifier"):
        wanted = "one class per image (keras_hkd.data.load_classification)"
        if not kind == "classifier":
            wanted = "boxes (keras_hkd.data.load_dataset)"
        raise InvalidValueError(
            f"A {kind} learns from images with {wanted}. Received: {type(dataset).__name__} of "
            f"{dataset.source!r}"
        )
    if has_classes:
        check_same_classes(learner.class_names, dataset.class_names)
    else:
        _check_known(learner, dataset)


def check_people(
    dataset: Dataset | SemiSupervisedDataset | ClassificationDataset, settings: TrainingSettings
) -> None:
    """Refuse images without a box to learn from; warn where many are too small to be learnt.

    Args:
        dataset: the training images.
        settings: `TrainingSettings`.

    Raises:
        ValueError: no box counts, or all are smaller than the smallest that batches keep.
    """
    if isinstance(dataset, ClassificationDataset):
        return
    labelled = dataset.labelled if isinstance(dataset, SemiSupervisedDataset) else dataset
    sides = [_shorter_sides(one) for one in labelled]
    shorter = np.concatenate([np.zeros(0), *sides])
    scales = np.repeat(letterbox_scales(labelled, settings.image_size), [*map(len, sides)])
    least = Augmentation().min_side_px
    small = int((shorter * scales < least).sum())
    if small < _MANY_SMALL * len(shorter):
        return
    size = "x".join(map(str, settings.image_size))
    text = (
        f"{small:,} of {len(shorter):,} boxes have a side below {least:g} pixels at {size} and are "
        "not learnt: are boxes in pixels of the original pictures? Else train at a larger size"
    )
    if small == len(shorter):
        if not small:
            text = "no box counts: see that the labels are found, and that their class is asked for"
        raise InvalidValueError(f"There is nothing to learn from in {labelled.source!r}: {text}.")
    warnings.warn(text, DataWarning, stacklevel=stack_level_of_caller())


def _shorter_sides(one: ImageAnnotation) -> np.ndarray:
    boxes = one.boxes[~one.ignore]
    return (boxes[:, 2:] - boxes[:, :2]).min(axis=1) if len(boxes) else np.zeros(0)


def _check_known(learner: Any, dataset: Dataset) -> None:
    """Refuse labels whose class ids stand for other classes in the detector."""
    known = [canonical(name) for name in learner.class_names]
    asked = [canonical(name) for name in dataset.class_names]
    if known[: len(asked)] != asked:
        raise InvalidValueError(
            f"The images have the classes {', '.join(dataset.class_names)}; the detector knows "
            f"{', '.join(learner.class_names)}, in this order. Give it theirs: "
            "`detector.with_classes(dataset.class_names)`, or build it with "
            "`class_names=dataset.class_names`; or read those that it knows (`classes=`, --class). "
            f"Received: {dataset.source!r}"
        )
