"""Metrics of detections: average precision and log-average miss rate, in NumPy.

Metrics take ground truth and detections, from memory or from files, and load neither Keras nor
TensorFlow. See `as_ground_truth` and `as_detections` for the accepted forms.
"""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Detections": "detections",
        "FewImagesWarning": "miss_rate",
        "GroundTruth": "ground_truth",
        "MatchResult": "matching",
        "MissRateCurve": "miss_rate",
        "OtherCategoriesWarning": "meeting",
        "Protocol": "protocols",
        "Subset": "subsets",
        "as_detections": "detections",
        "as_ground_truth": "ground_truth",
        "coco_average_precision": "average_precision",
        "get_protocol": "protocols",
        "log_average_miss_rate": "miss_rate",
        "match_detections": "matching",
        "miss_rate_curve": "miss_rate",
        "miss_rates": "miss_rate",
        "protocol_names": "protocols",
        "read_detections": "files",
        "read_ground_truth": "files",
    },
)
