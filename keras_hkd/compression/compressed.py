"""Copies of detectors and classifiers whose network is rewritten: rounded, or with fewer channels.

A compressed learner is of the class of its float model, with `rewrites`; see
`keras_hkd.learner.Learner`.
"""

from typing import Any

import keras

from keras_hkd.checks import require_tensorflow
from keras_hkd.learner import Learner


def rewritten(learner: Learner, rewrite: Any) -> Any:
    """Copy a learner with a rewritten network.

    Args:
        learner: a `Detector` or `Classifier`, compressed before or not.
        rewrite: function from a network to a network, which Keras can serialise.

    Raises:
        UnsupportedLayerError: a layer that cannot be rewritten; names it and its type.
    """
    network = rewrite(learner.network)
    config = learner.get_config()
    rewrites = [*config.pop("rewrites", ()), keras.saving.serialize_keras_object(rewrite)]
    config |= {"rewrites": rewrites, "rewritten_network": network}
    return type(learner).from_config(config)


def over_or_rewritten(learner: Learner, rewrite: Any) -> Any:
    """Copy a learner over its rewritten network, or record the rewrite where it cannot be.

    Args:
        learner: a `Detector` or `Classifier`, compressed before or not.
        rewrite: function from a network to a network, which Keras can serialise.
    """
    if learner.takes_networks and not learner.rewrites:
        return learner.over(rewrite(learner.network))
    return rewritten(learner, rewrite)


def checked_learner(model: Any) -> Any:
    """Return the learner to compress: a library's model is adapted, a Distiller gives its student.

    Raises:
        TypeError: neither detector nor classifier.
        ValueError: the Keras backend is not TensorFlow.
    """
    require_tensorflow("Compression")
    model = getattr(model, "student", model)
    if isinstance(model, Learner):
        return model.deployed
    from keras_hkd.detectors.adaptation import as_detector

    return as_detector(model)
