"""Detectors as files for other runtimes: TFLite for phones, ONNX, SavedModel; and their runner."""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "ExportError": "verification",
        "ExportReport": "tflite",
        "Grid": "keras_hkd.boxes.grid",
        "ModelCard": "tflite_metadata",
        "TFLiteDetector": "keras_hkd.inference.tflite_detector",
        "export_onnx": "onnx_file",
        "export_saved_model": "saved_model",
        "export_tflite": "tflite",
        "layer_errors": "quantization_errors",
        "list_operators": "tflite_file",
        "read_metadata": "keras_hkd.inference.tflite_metadata",
    },
)
