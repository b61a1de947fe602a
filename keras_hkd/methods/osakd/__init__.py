"""OSAKD: self-distillation with soft labels from nearest neighbours, and its own parts."""

from keras_hkd._lazy import attach
from keras_hkd.sources import public_names

__getattr__, __dir__, __all__ = attach(__name__, public_names(__name__, __path__))
