"""KerasCV's RetinaNet and YOLOV8Detector behind the Detector contract, and their parts."""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Backbone": "backbones",
        "FeaturePyramid": "feature_pyramid",
        "PredictionHead": "prediction_head",
        "RetinaNet": "retinanet",
        "YOLOV8": "yolo_v8",
    },
)
