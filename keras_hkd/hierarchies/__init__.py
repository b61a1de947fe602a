"""Hierarchies: where in a detector knowledge is read."""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Adversarial": "keras_hkd.methods.lw_kd.adversarial",
        "Boxes": "boxes",
        "Branches": "keras_hkd.methods.hsakd.rotated_logits",
        "ClassBank": "keras_hkd.methods.lw_kd.class_bank",
        "ClassLogits": "class_logits",
        "ClassTower": "class_tower",
        "CropRotations": "keras_hkd.methods.hsakd.crop_rotations",
        "CrossHead": "cross_head",
        "DrawnLogits": "keras_hkd.methods.lw_kd.drawn_logits",
        "EveryTeacher": "every_teacher",
        "Hierarchy": "hierarchy",
        "KerasLoss": "keras_loss",
        "Logits": "logits",
        "NeighbourCells": "keras_hkd.methods.osakd.neighbour_cells",
        "NeighbourClasses": "keras_hkd.methods.osakd.neighbour_classes",
        "Pyramid": "pyramid",
        "Region": "region",
        "Review": "review",
        "RotatedLogits": "keras_hkd.methods.hsakd.rotated_logits",
        "Step": "step",
        "match_detections": "box_matching",
        "possible": "possibilities",
    },
)
