"""Trains a compact pedestrian detector under a heavy one, in Keras.

Detect: `load_detector`, `TFLiteDetector`; photographs in and boxes out with `inference`.

Distil: `Distiller` with `hierarchies` and `losses`, or a whole system in one call: `hkd`, `ld`,
`kd`, and all of them in `methods`. `TeacherCache` stores a teacher's outputs. `as_detector` and
`as_classifier` take a library's model, `detectors.build` and `classifiers.build` make a new one,
`data` reads datasets and makes batches, `training` keeps runs that go on after a kill, `doctor`
checks a pair and its images before a training.

Compress and ship: `prune_channels`, `MagnitudePruning`, `quantize`; `export_tflite`,
`export_onnx`, `export_saved_model`.

Measure: `evaluation` of models, `metrics` of detections, `report` for tables and pictures,
`visualize` for what the losses see.

Everything loads when it is first used; importing the package loads neither TensorFlow nor Keras.
"""

from keras_hkd._lazy import attach
from keras_hkd.registration import register_with_keras

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "BestStudent": "training",
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
        "detect": "zoo",
        "detectors": None,
        "distillation": None,
        "doctor": "doctor",
        "evaluation": None,
        "export": None,
        "export_onnx": "export",
        "export_saved_model": "export",
        "export_tflite": "export",
        "from_preset": "zoo",
        "hierarchies": None,
        "hkd": "methods",
        "inference": None,
        "kd": "methods",
        "ld": "methods",
        "list_presets": "zoo",
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
        "visualize": None,
        "zoo": None,
    },
)

register_with_keras()
