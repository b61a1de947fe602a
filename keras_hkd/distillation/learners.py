"""From what a user hands to a Distiller to a Learner: a detector or a classifier."""

from keras_hkd.learner import Learner


def as_learner(model):
    """A `Detector` or `Classifier` over any model that has an adapter; a Learner as it is.

    Args:
        model: a `Learner` or a KerasCV detector.

    Raises:
        TypeError: anything else.
    """
    if isinstance(model, Learner):
        return model
    from keras_hkd.detectors.adaptation import as_detector

    return as_detector(model)
