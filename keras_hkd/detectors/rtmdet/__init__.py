"""RTMDet: the network in Keras, its assignment and losses, and the reader of its ONNX exports."""

from keras_hkd._lazy import attach
from keras_hkd.sources import public_names

__getattr__, __dir__, __all__ = attach(
    __name__,
    {**public_names(__name__, __path__), "SIZES": "config", "rtmdet_network": "network"},
)
