"""Box geometry: formats, overlap, clipping, suppression and the coding of boxes by detectors."""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "clip": "geometry",
        "convert": "formats",
        "inside_any": "geometry",
        "non_max_suppression": "suppression",
        "pairwise_distance_iou": "iou",
        "pairwise_intersection_over_area": "iou",
        "pairwise_iou": "iou",
    },
)
