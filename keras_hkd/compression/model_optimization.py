"""The parts of TensorFlow Model Optimization that are used, imported without its side effect.

Its import sets TF_USE_LEGACY_KERAS, which turns `tf.keras` into Keras 2: for KerasCV, if that is
imported later, and for every process that is started later.
"""

import os

import tensorflow as tf

_VARIABLE = "TF_USE_LEGACY_KERAS"

tf.keras.__name__  # noqa: B018 (loaded now, as Keras 3, and so it stays)
_before = os.environ.get(_VARIABLE)
try:
    from tensorflow_model_optimization.python.core.quantization.keras.quant_ops import (
        LastValueQuantize,
        MovingAvgQuantize,
    )
    from tensorflow_model_optimization.python.core.sparsity.keras.pruning_schedule import (
        ConstantSparsity,
        PolynomialDecay,
    )
finally:
    os.environ.pop(_VARIABLE, None)
    if _before is not None:
        os.environ[_VARIABLE] = _before

__all__ = ["ConstantSparsity", "LastValueQuantize", "MovingAvgQuantize", "PolynomialDecay"]
