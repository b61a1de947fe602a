"""Smaller and integer models: quantisation-aware training, pruning of weights and of channels."""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "ConstantSparsity": "model_optimization",
        "MagnitudePruning": "magnitude_pruning",
        "PolynomialDecay": "model_optimization",
        "UnsupportedLayerError": "flat_graph",
        "gradient_worth": "taylor_worth",
        "is_quantized": "quantization",
        "kernel_sparsity": "magnitude_pruning",
        "prune_channels": "channel_pruning",
        "prune_gradually": "gradual_pruning",
        "quantize": "quantization",
        "replace_activations": "activations",
    },
)
