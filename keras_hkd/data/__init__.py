"""Files on disk, or scenes drawn from a seed, to batches of images and boxes."""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Augmentation": "augmentation",
        "BadDataError": "annotations",
        "BadRecord": "annotations",
        "Dataset": "annotations",
        "ImageAnnotation": "annotations",
        "Letterbox": "letterbox",
        "SemiSupervisedDataset": "semi_supervised",
        "draw_scene": "synthetic",
        "evaluation_batches": "pipeline",
        "load_dataset": "loading",
        "load_unlabelled": "unlabelled",
        "prediction_batches": "pipeline",
        "steps_per_epoch": "pipeline",
        "synthetic_dataset": "synthetic",
        "training_batches": "pipeline",
    },
)
