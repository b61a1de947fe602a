"""Losses: how a teacher's tensor and a student's are compared. One loss per file."""

from keras_hkd._lazy import attach
from keras_hkd.sources import public_names

__getattr__, __dir__, __all__ = attach(__name__, public_names(__name__, __path__))
