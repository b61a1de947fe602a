"""Files on disk, or scenes drawn from a seed, to batches of images and boxes."""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Augmentation": "batches.augmentation",
        "BadDataError": "annotations",
        "BadRecord": "annotations",
        "ClassificationDataset": "classification",
        "CocoExport": "coco_export",
        "DataWarning": "loading",
        "Dataset": "dataset",
        "Findings": "findings",
        "ImageAnnotation": "annotations",
        "Letterbox": "batches.letterbox",
        "SemiSupervisedDataset": "batches.semi_supervised",
        "StoredViews": "batches.stored_views",
        "classification_dataset": "classification",
        "classification_evaluation_batches": "batches.classification_batches",
        "classification_training_batches": "batches.classification_batches",
        "draw_scene": "drawn.scenes",
        "evaluation_batches": "batches.pipeline",
        "glyph_dataset": "drawn.glyphs",
        "load_classification": "classification_loading",
        "load_dataset": "loading",
        "load_boxes": "loading",
        "load_unlabelled": "unlabelled",
        "prediction_batches": "batches.pipeline",
        "save_coco": "coco_export",
        "steps_per_epoch": "batches.pipeline",
        "stored_view_batches": "batches.pipeline",
        "synthetic_classification": "drawn.classification",
        "synthetic_dataset": "drawn.scenes",
        "training_batches": "batches.pipeline",
    },
)
