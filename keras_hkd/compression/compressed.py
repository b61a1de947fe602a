"""Detectors and classifiers whose network was rewritten: rounded, or with fewer channels."""

import functools

import keras

from keras_hkd.checks import require_tensorflow
from keras_hkd.classifiers.classifier import Classifier
from keras_hkd.detectors.detector import Detector
from keras_hkd.detectors.keras_cv.retinanet import RetinaNet
from keras_hkd.detectors.keras_cv.yolo_v8 import YOLOV8
from keras_hkd.detectors.rtmdet import RTMDet
from keras_hkd.errors import InvalidTypeError
from keras_hkd.learner import Learner


@keras.saving.register_keras_serializable(package="keras_hkd")
class Compressed:
    """What makes a family of learners one with a rewritten network; goes before it as a base.

    The float model of the library stays behind: it says how the network is built, and its weights
    are neither trained nor saved.

    Args:
        model: the family's float model.
        rewrites: functions from a network to a network, applied in turn, which Keras can serialise.
        rewritten_network: what they make of the family's network, where that is at hand.
        **kwargs: of the family.
    """

    def __init__(self, model, *, rewrites=(), rewritten_network=None, **kwargs):
        object.__setattr__(self, "rewrites", None)  # not yet: see __setattr__
        super().__init__(model, **kwargs)
        rewrites = [_deserialized(rewrite) for rewrite in rewrites]
        network = rewritten_network
        if network is None:
            network = functools.reduce(lambda net, rewrite: rewrite(net), rewrites, self.network)
        object.__setattr__(self, "rewrites", tuple(rewrites))
        self.network = network

    def __setattr__(self, name, value):
        # Keras tracks layers that are set the usual way; these are not to be trained or saved.
        if name == "model" or (name == "network" and self.rewrites is None):
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    takes_networks = False  # its network follows from the float model and the rewrites

    def __dir__(self):
        return [name for name in super().__dir__() if name != "model"]

    @property
    def family(self):
        """The class without compression: what says whether dense predictions line up."""
        bases = type(self).__mro__
        return bases[bases.index(Compressed) + 1]

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {**super().get_config(), "rewrites": [serialize(one) for one in self.rewrites]}


@keras.saving.register_keras_serializable(package="keras_hkd")
class CompressedYOLOV8(Compressed, YOLOV8):
    """A `YOLOV8` with a rewritten network; see `quantize` and `prune_channels`."""


@keras.saving.register_keras_serializable(package="keras_hkd")
class CompressedRetinaNet(Compressed, RetinaNet):
    """A `RetinaNet` with a rewritten network; see `quantize` and `prune_channels`."""


@keras.saving.register_keras_serializable(package="keras_hkd")
class CompressedRTMDet(Compressed, RTMDet):
    """An `RTMDet` with a rewritten network; see `quantize` and `prune_channels`."""


@keras.saving.register_keras_serializable(package="keras_hkd")
class CompressedClassifier(Compressed, Classifier):
    """A `Classifier` with a rewritten network; see `quantize` and `prune_channels`."""


FAMILIES = {
    YOLOV8: CompressedYOLOV8,
    RetinaNet: CompressedRetinaNet,
    RTMDet: CompressedRTMDet,
    Classifier: CompressedClassifier,
}


def rewritten(learner, rewrite):
    """A copy of a learner whose network is rewritten, with weights from the learner's own.

    Args:
        learner: a `Detector` or `Classifier`, compressed before or not.
        rewrite: function from a network to a network, which Keras can serialise.

    Raises:
        TypeError: no learner, or of a family of its own.
    """
    network = rewrite(learner.network)
    config = learner.get_config()
    rewrites = [*config.pop("rewrites", ()), keras.saving.serialize_keras_object(rewrite)]
    config |= {"rewrites": rewrites, "rewritten_network": network}
    return compressed_class(learner).from_config(config)


def checked_learner(model):
    """The bare learner to compress, adapted from a KerasCV model or taken out of a Distiller.

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


def compressed_class(learner):
    """The compressed class of a learner's family.

    Raises:
        TypeError: a family that has none.
    """
    if isinstance(learner, Compressed):
        return type(learner)
    for family, compressed in FAMILIES.items():
        if type(learner) is family:
            return compressed
    kind = "Detector" if isinstance(learner, Detector) else "Learner"
    raise InvalidTypeError(
        f"{type(learner).__name__} is a {kind} of a family of its own, which cannot be compressed. "
        f"Known: {', '.join(family.__name__ for family in FAMILIES)}. Write a class "
        "`class Mine(Compressed, Family)`, register it with Keras and add it to "
        "`keras_hkd.compression.compressed.FAMILIES`."
    )


def _deserialized(rewrite):
    if isinstance(rewrite, dict):
        return keras.saving.deserialize_keras_object(rewrite)
    return rewrite
