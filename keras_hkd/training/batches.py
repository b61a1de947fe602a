"""The training batches of a run, for detectors and for classifiers."""

from keras_hkd.data import (
    Augmentation,
    ClassificationDataset,
    classification_training_batches,
    training_batches,
)
from keras_hkd.data.classification_batches import CLASSIFICATION_AUGMENTATION
from keras_hkd.evaluation.classifier_scores import check_same_classes


def run_batches(dataset, settings, first_epoch):
    """Batches without end from an epoch on, as a function of the settings' seed.

    Args:
        dataset: a `Dataset` of boxes, or a `ClassificationDataset`.
        settings: `TrainingSettings`.
        first_epoch: epoch to begin with.
    """
    shared = {
        "image_size": settings.image_size,
        "batch_size": settings.batch_size,
        "seed": settings.seed,
        "first_epoch": first_epoch,
        "cache": settings.cache,
    }
    if isinstance(dataset, ClassificationDataset):
        augmentation = CLASSIFICATION_AUGMENTATION if settings.augment else None
        return classification_training_batches(dataset, augmentation=augmentation, **shared)
    augmentation = Augmentation() if settings.augment else None
    return training_batches(dataset, augmentation=augmentation, ignore_regions=True, **shared)


def check_fits(model, dataset) -> None:
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
        raise ValueError(
            f"A {kind} learns from images with {wanted}. Received: {type(dataset).__name__} of "
            f"{dataset.source!r}"
        )
    if has_classes:
        check_same_classes(learner.class_names, dataset.class_names)
