"""Evaluates models on images: predictions, scores, costs, comparisons."""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Latencies": "latency",
        "AveragePrecisionGate": "average_precision_gate",
        "ScoreThresholdWarning": "detector_scores",
        "ClassificationMetrics": "callbacks",
        "DetectionMetrics": "callbacks",
        "benchmark_models": "benchmark",
        "check_protocol": "detector_scores",
        "compare_detectors": "comparison",
        "count_gflops": "model_cost",
        "count_parameters": "model_cost",
        "detection_differences": "comparison",
        "draw_detections": "keras_hkd.inference.drawing",
        "evaluate_classifier": "classifier_scores",
        "evaluate_detector": "detector_scores",
        "export_precisions": "benchmark",
        "find_images": "keras_hkd.inference.photos",
        "load_photo": "keras_hkd.inference.photos",
        "measure_costs": "model_cost",
        "measure_latencies": "latency",
        "measure_latency_ms": "latency",
        "measure_peak_memory_mib": "peak_memory",
        "predict_classes": "classifier_scores",
        "predict_dataset": "prediction",
        "predict_images": "keras_hkd.inference.prediction",
        "score_classes": "classifier_scores",
        "score_predictions": "detector_scores",
        "warn_of_threshold": "detector_scores",
    },
)
