"""Hierarchies: where in a model knowledge is read."""

from keras_hkd._lazy import attach
from keras_hkd.sources import public_names

# Classes of single systems, which lie in the folders of these systems, were first offered here.
PARTS_OF_SYSTEMS = {
    "Adversarial": "keras_hkd.methods.lw_kd.adversarial",
    "Branches": "keras_hkd.methods.hsakd.rotated_logits",
    "ClassBank": "keras_hkd.methods.lw_kd.class_bank",
    "CropRotations": "keras_hkd.methods.hsakd.crop_rotations",
    "DrawnLogits": "keras_hkd.methods.lw_kd.drawn_logits",
    "NeighbourCells": "keras_hkd.methods.osakd.neighbour_cells",
    "NeighbourClasses": "keras_hkd.methods.osakd.neighbour_classes",
    "RotatedLogits": "keras_hkd.methods.hsakd.rotated_logits",
}

__getattr__, __dir__, __all__ = attach(
    __name__, {**public_names(__name__, __path__), **PARTS_OF_SYSTEMS}
)
