"""Files on disk, or scenes drawn from a seed, to batches of images and boxes."""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Augmentation": "augmentation",
        "BadDataError": "annotations",
        "BadRecord": "annotations",
        "ClassificationDataset": "classification",
        "Dataset": "annotations",
        "ImageAnnotation": "annotations",
        "Letterbox": "letterbox",
        "SemiSupervisedDataset": "semi_supervised",
        "StoredViews": "stored_views",
        "classification_dataset": "classification",
        "classification_evaluation_batches": "classification_batches",
        "classification_training_batches": "classification_batches",
        "draw_scene": "synthetic",
        "evaluation_batches": "pipeline",
        "glyph_dataset": "glyph_classes",
        "load_classification": "classification",
        "load_dataset": "loading",
        "load_unlabelled": "unlabelled",
        "prediction_batches": "pipeline",
        "steps_per_epoch": "pipeline",
        "stored_view_batches": "pipeline",
        "synthetic_classification": "synthetic_classes",
        "synthetic_dataset": "synthetic",
        "training_batches": "pipeline",
    },
)
