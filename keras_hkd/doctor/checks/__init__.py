"""The checks of the doctor, each a function in a file of this folder."""

from keras_hkd._lazy import attach
from keras_hkd.sources import decorated

__getattr__, __dir__, __all__ = attach(
    __name__,
    {name: module for name, (module, _) in decorated(__name__, __path__, "check", "*.py").items()},
)
