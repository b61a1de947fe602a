"""Hierarchies: where in a detector knowledge is read."""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Adversarial": "adversarial",
        "Boxes": "boxes",
        "Branches": "rotations",
        "ClassBank": "class_bank",
        "ClassLogits": "class_logits",
        "ClassTower": "class_tower",
        "CropRotations": "crop_rotations",
        "CrossHead": "cross_head",
        "DrawnLogits": "drawn_logits",
        "EveryTeacher": "every_teacher",
        "Hierarchy": "hierarchy",
        "KerasLoss": "keras_loss",
        "Logits": "logits",
        "NeighbourCells": "neighbour_cells",
        "NeighbourClasses": "neighbour_classes",
        "Pyramid": "pyramid",
        "Region": "region",
        "Review": "review",
        "RotatedLogits": "rotations",
        "Step": "step",
        "match_detections": "box_matching",
        "possible": "possibilities",
    },
)
