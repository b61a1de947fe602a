"""KerasHub's detectors behind the Detector contract; keras_hub is an extra, `[hub]`."""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "HubDFine": "d_fine",
        "HubRetinaNet": "retinanet",
    },
)
