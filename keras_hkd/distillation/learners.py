"""From what a user hands to a Distiller to a Learner: a detector or a classifier."""

from typing import Any

from keras_hkd.detectors.families import is_of_adapted_library
from keras_hkd.distillation.stored_teacher import StoredTeacher
from keras_hkd.learner import Learner


def as_learner(model: Any) -> Any:
    """A `Detector` or `Classifier` over any model that has an adapter; a Learner as it is.

    Args:
        model: a `Learner`, a KerasCV detector, or a functional `keras.Model` that ends in the
            logits of its classes; or a `TeacherCache`, which gives what stands for its teacher.

    Raises:
        TypeError: anything else.
        ValueError: a model of which no classifier can be made; says why.
    """
    if isinstance(model, StoredTeacher):
        return model.teacher
    if isinstance(model, Learner):
        return model
    if is_of_adapted_library(model):
        from keras_hkd.detectors.adaptation import as_detector

        return as_detector(model)
    from keras_hkd.classifiers.adaptation import as_classifier

    return as_classifier(model)
