"""Makes batches of a detector's size from datasets: letterbox, augmentation, order, tf.data."""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Augmentation": "augmentation",
        "Letterbox": "letterbox",
        "SemiSupervisedDataset": "semi_supervised",
        "StoredViews": "stored_views",
        "classification_evaluation_batches": "classification_batches",
        "classification_training_batches": "classification_batches",
        "evaluation_batches": "pipeline",
        "prediction_batches": "pipeline",
        "steps_per_epoch": "pipeline",
        "stored_view_batches": "pipeline",
        "training_batches": "pipeline",
    },
)
