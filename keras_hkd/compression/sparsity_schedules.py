"""When and how far to prune: the schedules of TensorFlow Model Optimization."""

from tensorflow_model_optimization.python.core.sparsity.keras.pruning_schedule import (
    ConstantSparsity,
    PolynomialDecay,
)

__all__ = ["ConstantSparsity", "PolynomialDecay"]
