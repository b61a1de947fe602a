"""Converts the models that users give to a Distiller to learners."""

from typing import Any

from keras_hkd.detectors.families import is_of_adapted_library
from keras_hkd.learner import Learner


def as_learner(model: Any) -> Any:
    """Convert a model to a `Detector` or a `Classifier`.

    Args:
        model: a `Learner`, which is returned unchanged; a KerasCV or KerasHub detector; a
            functional `keras.Model` that ends in the logits of its classes; or a `TeacherCache`,
            for which its stand-in for the teacher is returned.

    Returns:
        A `Learner`, or the `teacher` of a `TeacherCache`.

    Raises:
        TypeError: if the model is none of these.
        ValueError: if no classifier can be made of it; the message says why.
    """
    if is_cache(model):
        return model.teacher
    if isinstance(model, Learner):
        return model
    if is_of_adapted_library(model):
        from keras_hkd.detectors.adaptation import as_detector

        return as_detector(model)
    from keras_hkd.classifiers.adaptation import as_classifier

    return as_classifier(model)


def is_cache(model: Any) -> bool:
    """Return whether a model is a `TeacherCache`, which is known by its stand-in's `cache`."""
    return getattr(getattr(model, "teacher", None), "cache", None) is model
