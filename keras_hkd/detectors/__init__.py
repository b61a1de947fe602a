"""Detectors behind one contract: KerasCV's RetinaNet and YOLOV8Detector, and builders of both."""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Assignment": "detector",
        "Backbone": "keras_cv.backbones",
        "Detector": "detector",
        "FeaturePyramid": "keras_cv.feature_pyramid",
        "HubDFine": "keras_hub.d_fine",
        "HubRetinaNet": "keras_hub.retinanet",
        "PredictionHead": "keras_cv.prediction_head",
        "RTMDet": "rtmdet.detector",
        "RTMDetConfig": "rtmdet.network",
        "RetinaNet": "keras_cv.retinanet",
        "YOLOV8": "keras_cv.yolo_v8",
        "as_detector": "adaptation",
        "build": "builders",
        "import_rtmdet": "rtmdet.onnx_import",
        "load_detector": "adaptation",
        "names": "builders",
        "save_half_precision": "keras_hkd.half_precision",
    },
)
