"""RTMDet: the network in Keras, its assignment and losses, and the reader of its ONNX exports."""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "RTMDet": "detector",
        "RTMDetConfig": "network",
        "SIZES": "network",
        "import_rtmdet": "onnx_import",
        "rtmdet_network": "network",
    },
)
