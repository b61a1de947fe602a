"""Smaller and integer models: quantisation-aware training, pruning of weights and of channels."""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "UnsupportedLayerError": "flat_graph",
        "prune_channels": "channel_pruning",
        "quantize": "quantization",
    },
)
