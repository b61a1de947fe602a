"""Detectors behind one contract, a folder for each family, and builders of all of them."""

from keras_hkd._lazy import attach
from keras_hkd.sources import public_names

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        **public_names(__name__, __path__, "*.py", "*/*.py"),
        "save_half_precision": "keras_hkd.half_precision",
    },
)
