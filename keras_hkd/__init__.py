"""keras_hkd: hierarchical knowledge distillation of pedestrian detectors in Keras."""

from keras_hkd._lazy import attach
from keras_hkd.registration import register_with_keras

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Distiller": "distillation",
        "MagnitudePruning": "compression",
        "TFLiteDetector": "inference",
        "TeacherCache": "teacher_cache",
        "as_classifier": "classifiers",
        "as_detector": "detectors",
        "boxes": None,
        "classifiers": None,
        "compression": None,
        "data": None,
        "detectors": None,
        "distillation": None,
        "evaluation": None,
        "export": None,
        "export_onnx": "export",
        "export_saved_model": "export",
        "export_tflite": "export",
        "hierarchies": None,
        "inference": None,
        "load_classifier": "classifiers",
        "load_detector": "detectors",
        "losses": None,
        "methods": None,
        "metrics": None,
        "prune_channels": "compression",
        "quantize": "compression",
        "report": None,
        "teacher_cache": None,
        "training": None,
    },
)

register_with_keras()
