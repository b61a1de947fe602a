"""Detectors behind one contract: KerasCV's RetinaNet and YOLOV8Detector, and builders of both."""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Assignment": "detector",
        "Backbone": "backbones",
        "Detector": "detector",
        "FeaturePyramid": "feature_pyramid",
        "HubDFine": "hub_d_fine",
        "HubRetinaNet": "hub_retinanet",
        "PredictionHead": "prediction_head",
        "RetinaNet": "retinanet",
        "YOLOV8": "yolo_v8",
        "as_detector": "adaptation",
        "build": "builders",
        "load_detector": "adaptation",
        "names": "builders",
        "save_half_precision": "half_precision",
    },
)
