"""Converts Keras models and files to classifiers."""

import os
from typing import Any

from keras_hkd.classifiers.classifier import Classifier
from keras_hkd.errors import InvalidValueError
from keras_hkd.learner import Learner, read_model


def as_classifier(model: Any, **options: Any) -> Any:
    """Convert a functional Keras model to a `Classifier`.

    The layers are shared: training the result trains the model.

    Args:
        model: a functional or built Sequential `keras.Model` that ends in the logits or the scores
            of its classes. A `Classifier` or `SelfSupervisedClassifier` is returned unchanged.
        **options: options of the `Classifier`: `class_names`, `image_size`.

    Returns:
        A `Classifier`.

    Raises:
        TypeError: if the model is not functional.
        ValueError: see `Classifier`.

    Example:

    >>> import keras
    >>> model = keras.applications.MobileNetV2((64, 64, 3), 0.35, weights=None, classes=4)
    >>> as_classifier(model).class_names
    ('class_0', 'class_1', 'class_2', 'class_3')
    """
    if isinstance(model, Learner) and model.kind == "classifier":
        return model
    return Classifier(model, **options)


def load_classifier(path: str | os.PathLike) -> Any:
    """Load a classifier saved as `.keras`, by this package or as a functional Keras model.

    Args:
        path: path of the file.

    Returns:
        A `Classifier`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file holds no classifier, or is damaged.
    """
    model = read_model(path, "classifier")
    try:
        return as_classifier(model)
    except (TypeError, ValueError) as error:
        raise InvalidValueError(f"'{path}' holds no classifier. {error}") from error
