"""Measures how good a classifier is on a dataset."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_hkd.classifiers.classifier import Classifier
from keras_hkd.data.batches.pipeline import prediction_batches
from keras_hkd.data.classification import ClassificationDataset
from keras_hkd.errors import InvalidValueError
from keras_hkd.evaluation.model_cost import count_parameters
from keras_hkd.inference.prediction import input_size
from keras_hkd.progress import image_progress


def evaluate_classifier(
    classifier: Classifier,
    dataset: ClassificationDataset,
    image_size: tuple[int, int] | None = None,
    batch_size: int = 32,
    progress: bool = True,
) -> dict[str, object]:
    """Classify every image of a dataset and score the predictions.

    Args:
        classifier: a `keras_hkd.classifiers.Classifier`.
        dataset: a `keras_hkd.data.ClassificationDataset`.
        image_size: `(height, width)` in pixels; the classifier's own if None.
        batch_size: images at a time.
        progress: show a progress bar on the error stream if it is a terminal.

    Returns:
        The dict of `score_classes`, and `parameters`.

    Raises:
        ValueError: the dataset has other classes than the classifier.
    """
    scores = predict_classes(classifier, dataset, image_size, batch_size, progress)
    found = score_classes(scores, dataset.classes, dataset.class_names)
    found["parameters"] = count_parameters(classifier)
    return found


def predict_classes(
    classifier: Classifier,
    dataset: ClassificationDataset,
    image_size: tuple[int, int] | None = None,
    batch_size: int = 32,
    progress: bool = True,
) -> np.ndarray:
    """Predict the scores of every class for every image, in the order of the dataset.

    Args:
        classifier: anything with `class_names` whose `predict_on_batch(images)` gives
            `{"scores": (b, classes)}`.
        dataset: a `keras_hkd.data.ClassificationDataset`.
        image_size: `(height, width)` in pixels; the classifier's own if None.
        batch_size: images at a time.
        progress: show a progress bar on the error stream if it is a terminal.

    Returns:
        float32 `(n, classes)`.

    Raises:
        ValueError: the dataset has other classes than the classifier.
    """
    check_same_classes(classifier.class_names, dataset.class_names)
    size = input_size(classifier, image_size)
    batch_size = max(1, min(batch_size, len(dataset)))
    rows = []
    with image_progress("Classifying", len(dataset), progress) as advance:
        for images in prediction_batches(dataset, image_size=size, batch_size=batch_size):
            images = np.asarray(images)
            missing = batch_size - len(images)  # so that one compiled graph serves all batches
            padded = np.concatenate([images, np.repeat(images[-1:], missing, axis=0)])
            found = classifier.predict_on_batch(padded)["scores"]
            rows.append(np.asarray(found)[: len(images)])
            advance(len(images))
    return np.concatenate(rows)


def score_classes(
    scores: np.ndarray, classes: np.ndarray, class_names: Sequence[str]
) -> dict[str, object]:
    """Compute accuracy, balanced accuracy and the recall of each class.

    Args:
        scores: `(n, classes)`; the largest of a row is the answer.
        classes: `(n,)` int, what is right; -1 where it is not known, which is left out.
        class_names: names of the classes.

    Returns:
        dict of fractions `accuracy`, the share of images whose answer is right;
        `balanced_accuracy`, the mean recall of the classes that have an image; and `recall`, a dict
        class name -> share of its images that were recognised, nan where it has none. Also
        `num_images`, those whose class is known.

    Raises:
        ValueError: shapes that do not fit each other, or no image whose class is known.

    Example:

    >>> scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.4, 0.6]])
    >>> found = score_classes(scores, [0, 0, 1, 1], ("cat", "dog"))
    >>> found["accuracy"], found["recall"]
    (0.75, {'cat': 1.0, 'dog': 0.5})
    """
    scores, classes = np.asarray(scores), np.asarray(classes)
    if scores.shape != (len(classes), len(class_names)):
        raise InvalidValueError(
            f"Expected scores of shape {(len(classes), len(class_names))}, a row per image and a "
            f"column per class. Received: {scores.shape}"
        )
    known = classes >= 0
    if not known.any():
        raise InvalidValueError("There must be an image whose class is known. Received: none")
    classes, right = classes[known], scores[known].argmax(axis=-1) == classes[known]
    recalls = [
        float(right[classes == index].mean()) if (classes == index).any() else float("nan")
        for index in range(len(class_names))
    ]
    return {
        "accuracy": float(right.mean()),
        "balanced_accuracy": float(np.nanmean(recalls)),
        "recall": dict(zip(class_names, recalls, strict=True)),
        "num_images": int(known.sum()),
    }


def check_same_classes(classifier_classes: Sequence[str], dataset_classes: Sequence[str]) -> None:
    """Refuse a dataset whose classes are not those of the classifier, in the same order.

    Args:
        classifier_classes: names.
        dataset_classes: names.
    """
    if tuple(classifier_classes) != tuple(dataset_classes):
        raise InvalidValueError(
            f"The classifier tells {tuple(classifier_classes)} apart, the images are of "
            f"{tuple(dataset_classes)}. Read them with class_names=classifier.class_names, which "
            "gives the classes the same numbers."
        )
