"""Methods: named distillation systems, each composed of hierarchies, losses and weights.

A method is a module, or a folder with its own parts and its function in `method.py`.
"""

from keras_hkd._lazy import attach
from keras_hkd.sources import public_names

__getattr__, __dir__, __all__ = attach(
    __name__, public_names(__name__, __path__, "*.py", "*/method.py")
)
