"""Classifiers: any functional model that ends in logits, and builders of named ones."""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "ClassAssignment": "classifier",
        "Classifier": "classifier",
        "SelfSupervisedClassifier": "keras_hkd.methods.hsakd.self_supervised",
        "as_classifier": "adaptation",
        "build": "builders",
        "joint_labels": "keras_hkd.methods.hsakd.rotations",
        "load_classifier": "adaptation",
        "names": "builders",
        "rotate_four": "keras_hkd.methods.hsakd.rotations",
        "save_backbone": "backbone_weights",
    },
)
