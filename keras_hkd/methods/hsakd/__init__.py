"""HSAKD: hierarchical self-supervision augmented distillation, and the parts that only it has."""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Branches": "rotated_logits",
        "CropRotations": "crop_rotations",
        "RotatedLogits": "rotated_logits",
        "SelfSupervisedClassifier": "self_supervised",
        "hsakd": "method",
        "hsakd_teacher": "method",
        "joint_labels": "rotations",
        "prepared_teacher": "method",
        "rotate_four": "rotations",
    },
)
