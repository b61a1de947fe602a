"""From a Keras model, or a file, to a Classifier."""

import os
from typing import Any

from keras_hkd.classifiers.classifier import Classifier
from keras_hkd.errors import InvalidValueError
from keras_hkd.learner import Learner, read_model


def as_classifier(model: Any, **options: Any) -> Any:
    """A `Classifier` over a functional Keras model; one of ours comes back as it is.

    The layers are shared: training the result trains the model that was given.

    Args:
        model: a functional or built Sequential `keras.Model` that ends in the logits or the scores
            of its classes, or a `Classifier` or `SelfSupervisedClassifier`.
        **options: of the `Classifier`: `class_names`, `image_size`.

    Raises:
        TypeError: the model is not functional.
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
    """Loads a classifier saved as `.keras`, by this package or as a functional Keras model.

    Args:
        path: the file.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file holds no classifier, or is damaged.
    """
    model = read_model(path, "classifier")
    try:
        return as_classifier(model)
    except (TypeError, ValueError) as error:
        raise InvalidValueError(f"'{path}' holds no classifier. {error}") from error
