"""A finished detector on photos: loading, detecting, drawing; the runner of `.tflite` files."""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Grid": "keras_hkd.boxes.grid",
        "Frame": "video_files",
        "Seen": "video",
        "TFLiteDetector": "tflite_detector",
        "Tracker": "tracking",
        "VideoReader": "video_files",
        "VideoWriter": "video_files",
        "draw_detections": "drawing",
        "find_images": "photos",
        "load_photo": "photos",
        "predict_images": "prediction",
        "read_metadata": "tflite_metadata",
        "watch_video": "video",
    },
)
